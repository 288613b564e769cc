"""The task of teaching a clustering to classify images, or a discovery to segment them.

A run of a clustering learns from labels (:class:`FinetuneRun`), one of a discovery from masks
(:class:`PlaceRun`); what differs is told apart here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from frugalseg.console import log
from frugalseg.data.formats.image_folder import open_files
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.results import Result, ResultKind, make_result, write_result
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.reports.tables import iou_lines
from frugalseg.tasks.base import Files, Options, Task
from frugalseg.tasks.cluster.data import config_to_score
from frugalseg.tasks.cluster.export import write_choices
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.finetune import data as labelled
from frugalseg.tasks.finetune.answer_masks import (
    evaluate_places,
    export_places,
    open_scored_masks,
    predict_places,
)
from frugalseg.tasks.finetune.compare import write_comparison
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.evaluate import class_scores, images_to_score, worst_classes
from frugalseg.tasks.finetune.masks import open_masks, resolve_masks
from frugalseg.tasks.finetune.model import FinetuneRun, load_finetune_run
from frugalseg.tasks.finetune.places import PlaceRun, load_place_run
from frugalseg.tasks.finetune.predict import answer_classes
from frugalseg.tasks.iic.report import score

Indices = NDArray[np.int64]
AnyRun = FinetuneRun | PlaceRun
AnyData = ImageSet | ImageMaskFolder

RESULT = ResultKind(
    task="finetune",
    names=("backbone", "method", "untrained", "learned", "steps"),
    parts={},
    columns=(
        ("images", ".0f", score("images")),
        ("accuracy", ".3f", score("accuracy")),
        ("mean of classes", ".3f", score("balanced")),
        ("mIoU", ".3f", score("miou")),
    ),
)


def of_discovery(config: FinetuneConfig) -> bool:
    """Whether the run that a configuration names is a discovery, which learns from masks."""
    return RunDir(config.clustering).task == DiscoverConfig.task


def open_data(config: FinetuneConfig) -> AnyData:
    """The images to learn from, with labels or masks: those of the configuration or the run.

    Raises:
        FrugalsegError: the run is not finished, there are no images, or the masks do not fit.
    """
    if not of_discovery(config):
        return labelled.open_data(config)
    discovery, _ = RunDir(config.clustering).finished(DiscoverConfig)
    return open_masks(resolve_masks(config), discovery.bands)


def resolve(
    config: FinetuneConfig, data: AnyData, network: nn.Module | None = None
) -> FinetuneConfig:
    """Fill in the settings that are left to the run.

    Raises:
        FrugalsegError: a setting is out of range, or is for the other kind of run.
    """
    return resolve_masks(config) if of_discovery(config) else labelled.resolve(config)


def load(folder: Path | str, network: nn.Module | None = None) -> AnyRun:
    """Load a finished run.

    Args:
        folder: the run's folder.
        network: not used: a fine-tuning has the network of its clustering or discovery.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, or its weights do not fit.
    """
    _, state = RunDir(folder).finished(FinetuneConfig)
    return load_place_run(folder) if "discovery" in state else load_finetune_run(folder)


def export(run: AnyRun, images: AnyData) -> Result | None:
    """Write answers for all images, and score those that were held out."""
    if isinstance(run, PlaceRun):
        assert isinstance(images, ImageMaskFolder)
        return export_places(run, images, RESULT)
    assert isinstance(images, ImageSet)
    _write_predictions(run, images, run.dir.path)
    log.info(f"The answers for all images: {run.dir.path / 'predictions.csv'}")
    if not run.state["scored"]:
        return None
    result = evaluate(run, images, run.state["split"], {})
    split = str(result.what["split"]).replace(" ", "-")
    write_result(result, run.dir.result_path(f"{images.name}-{split}"))
    return result


def predict(run: AnyRun, files: Files, out: Path, options: Options) -> Sequence[str]:
    """Classify new images (predictions.csv), or segment them (labels and overlays)."""
    if isinstance(run, PlaceRun):
        return predict_places(run, files, out)
    images = open_files(files[0][0].parent, files)
    _write_predictions(run, images, out)
    return images.problems


def open_scored(run: AnyRun, data: str | None, options: Options) -> AnyData:
    """The images that a run is scored on, its own or others, with their labels or others."""
    if isinstance(run, PlaceRun):
        return open_scored_masks(run, data, options)
    if options.get("masks") is not None:
        raise FrugalsegError(f"{run.dir} learned from labels: give --labels, not --masks.")
    return labelled.open_data(config_to_score(run.config, data, options))


def evaluate(run: AnyRun, images: AnyData, split: str, options: Options) -> Result:
    """Score a run on labelled images that it did not learn from.

    Raises:
        FrugalsegError: there is no such split, or there are no such images.
    """
    if isinstance(run, PlaceRun):
        assert isinstance(images, ImageMaskFolder)
        return evaluate_places(run, images, split, RESULT)
    assert isinstance(images, ImageSet)
    chosen = images_to_score(run, images, split, lambda part: _labelled(images, part), "labels")
    answers = answer_classes(run, images, chosen).argmax(1)
    method = run.state["method"]
    what = {
        "run": run.dir.name,
        "data": images.name,
        "split": split,
        "images": len(chosen),
        "learned": run.state["learned"],
        "untrained": run.config.untrained,
        "steps": run.config.steps if method == "network" else 0,
        "backbone": run.clustering.backbone,
        "method": method,
    }
    scores = class_scores(answers, _labels(run, images)[chosen], run.class_names)
    parts = {"cross_validation": run.state.get("cross_validation", {})}
    return make_result(RESULT, run.asked, what, scores, **parts)


def compare(
    runs: Sequence[AnyRun], results: Sequence[Result], split: str | None, out: Path, images: int
) -> None:
    """Write a page that compares fine-tuned runs on the same images."""
    segmenting = next((run for run in runs if isinstance(run, PlaceRun)), None)
    data = None if segmenting is None else open_scored_masks(segmenting, None, {})
    write_comparison(runs, results, data, out, images)


def details(result: Result) -> str:
    """IoU by class, or the classes that are least often right."""
    scores = result.scores or {}
    return iou_lines(scores) if "iou" in scores else worst_classes(scores)


def _labelled(images: ImageSet, split: str) -> Indices:
    """Images of a split that have labels."""
    if images.labels is None or not len(images.labelled):
        raise FrugalsegError(
            f"{images.name} has no labels to score against: give --labels CSV (file,label), or "
            "--labels folders if sub-folders are the labels."
        )
    return np.intersect1d(images.indices(split), images.labelled)


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
    load=load,
    export=export,
    predict=predict,
    open_scored=open_scored,
    default_split=lambda run, other: run.state["split"] if other is None else "all",
    evaluate=evaluate,
    details=details,
    compare=compare,
    evaluate_options=frozenset({"labels", "masks"}),
)
