"""The task of teaching the network of a clustering to classify images, from labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import log
from frugalseg.data.formats.image_folder import open_files
from frugalseg.data.image_set import ImageSet
from frugalseg.data.layouts.listing import normal_name
from frugalseg.engine.results import Result, ResultKind, make_result, write_result
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table, same_path
from frugalseg.tasks.base import Files, Options, Task
from frugalseg.tasks.cluster.data import config_to_score
from frugalseg.tasks.cluster.export import write_choices
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.data import open_data, resolve
from frugalseg.tasks.finetune.evaluate import class_scores, worst_classes
from frugalseg.tasks.finetune.model import FinetuneRun, load_finetune_run
from frugalseg.tasks.finetune.predict import answer_classes
from frugalseg.tasks.iic.report import score

Indices = NDArray[np.int64]

RESULT = ResultKind(
    task="finetune",
    names=("backbone", "untrained", "learned", "steps"),
    parts={},
    columns=(
        ("images", ".0f", score("images")),
        ("accuracy", ".3f", score("accuracy")),
        ("mean of classes", ".3f", score("balanced")),
    ),
)


def export(run: FinetuneRun, images: ImageSet) -> Result | None:
    """Write predictions.csv of all images, and score those that were held out."""
    _write_predictions(run, images, run.dir.path)
    log.info(f"The answers for all images: {run.dir.path / 'predictions.csv'}")
    if not run.state["scored"]:
        return None
    result = evaluate(run, images, run.state["split"], {})
    split = str(result.what["split"]).replace(" ", "-")
    write_result(result, run.dir.result_path(f"{images.name}-{split}"))
    return result


def predict(run: FinetuneRun, files: Files, out: Path, options: Options) -> Sequence[str]:
    """Classify new images: predictions.csv."""
    images = open_files(files[0][0].parent, files)
    _write_predictions(run, images, out)
    return images.problems


def open_scored(run: FinetuneRun, data: str | None, options: Options) -> ImageSet:
    """The images that a run is scored on, its own or others, with their labels or others."""
    return open_data(config_to_score(run.config, data, options))


def evaluate(run: FinetuneRun, images: ImageSet, split: str, options: Options) -> Result:
    """Score a run on labelled images that it did not learn from.

    Raises:
        FrugalsegError: there is no such split, or there are no such images.
    """
    chosen = _scored_images(run, images, split)
    answers = answer_classes(run, images, chosen).argmax(1)
    what = {
        "run": run.dir.name,
        "data": images.name,
        "split": split,
        "images": len(chosen),
        "learned": run.state["learned"],
        "untrained": run.config.untrained,
        "steps": run.config.steps,
        "backbone": run.clustering.backbone,
    }
    scores = class_scores(answers, _labels(run, images)[chosen], run.class_names)
    return make_result(RESULT, run.asked, what, scores)


def _scored_images(run: FinetuneRun, images: ImageSet, split: str) -> Indices:
    """Images to score: those held out in the training, or labelled ones not learned from."""
    if images.labels is None or not len(images.labelled):
        raise FrugalsegError(
            f"{images.name} has no labels to score against: give --labels CSV (file,label), or "
            "--labels folders if sub-folders are the labels."
        )
    own = same_path(images.root, run.config.data)
    held_out = split == run.state["split"] and own and run.state["scored"]
    indices = images.indices("all" if held_out or split == "held out" else split)
    known = np.intersect1d(indices, images.labelled)
    if own:
        used = _use_of_labels(run.dir.path / "labels.csv")
        uses = [used.get(normal_name(images.names[i]), "") for i in known.tolist()]
        kept = [use == "score" if held_out else use != "training" for use in uses]
        known = known[np.array(kept, bool)]
    if not len(known):
        raise FrugalsegError(
            f"{run.dir} learned from all labelled images of {images.name}: "
            "give others to score on (--data, --labels)."
        )
    return known


def _use_of_labels(path: Path) -> dict[str, str]:
    """The use of each image's label, by the name of the image."""
    return {row["file"]: row["used"] for _, row in read_table(path, ("file", "used"))}


def _labels(run: FinetuneRun, images: ImageSet) -> Indices:
    """Labels of the images as indices of the run's classes, -1 if unknown."""
    assert images.labels is not None
    unknown = sorted(set(images.class_names) - set(run.class_names))
    if unknown:
        raise FrugalsegError(
            f"{images.name} has the class {unknown[0]!r}, which {run.dir} does not know: "
            f"it knows {', '.join(run.class_names[:8])}."
        )
    index = np.array([run.class_names.index(name) for name in images.class_names])
    return np.where(images.labels >= 0, index[images.labels], -1)


def _write_predictions(run: FinetuneRun, images: ImageSet, out: Path) -> None:
    answers = answer_classes(run, images, np.arange(len(images)))
    path = out / "predictions.csv"
    write_choices(images.names, answers, path, "class", run.class_names)


def _default_folder(config: FinetuneConfig) -> Path:
    folder = Path(config.clustering).resolve()  # "." and ".." have no name
    return folder.with_name(f"{folder.name}-finetuned-{config.seed}")


TASK = Task(
    config=FinetuneConfig,
    result=RESULT,
    default_folder=_default_folder,
    open_data=open_data,
    resolve=resolve,
    train="frugalseg.tasks.finetune.train:train",
    load=load_finetune_run,
    export=export,
    predict=predict,
    open_scored=open_scored,
    default_split=lambda run, other: run.state["split"] if other is None else "all",
    evaluate=evaluate,
    details=lambda result: worst_classes(result.scores or {}),
    evaluate_options=frozenset({"labels"}),
)
