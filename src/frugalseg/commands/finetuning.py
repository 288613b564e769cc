"""The commands of fine-tuned runs."""

import csv
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.cluster_runs import load_cluster_run
from frugalseg.commands.common import (
    data_name,
    label_name,
    named,
    progress,
    result_path,
    same_place,
    say,
)
from frugalseg.errors import FrugalsegError
from frugalseg.finetune_runs import FinetuneConfig, FinetuneRun, load_finetune_run


def finetune(clustered: Path, folder: Path | None, config: FinetuneConfig) -> None:
    """Teach a classifier, score it, and answer for all images."""
    from frugalseg.training.finetune import train_finetuning
    from frugalseg.training.fit import is_main_process

    own = load_cluster_run(clustered).config
    if config.labels is None and config.data is None:
        config = dataclasses.replace(config, labels=own.labels)
    config = dataclasses.replace(config, run=str(clustered), data=config.data or own.data)
    if folder is None:
        place = clustered.resolve()  # "." and ".." have no name
        folder = place.with_name(f"{place.name}-finetuned-{config.seed}")
    images = _open(config)
    for problem in images.problems:
        say(f"frugalseg: {problem}")
    train_finetuning(config, images, folder, sys.stderr.isatty(), say)
    if not is_main_process():
        return
    run = load_finetune_run(folder)
    _write_predictions(run, images, folder)
    if run.state["scored"]:
        _evaluate(run, images, None, images.name)
    say(f"The answers for all images: {folder / 'predictions.csv'}")
    say(f"The run is in {folder}. Next: frugalseg predict {folder} IMAGES")


def predict(folder: Path, inputs: Sequence[Path], out: Path | None) -> None:
    """Tell the class of new images; broken ones are named, the rest goes on."""
    from frugalseg.data.folder import list_images
    from frugalseg.data.image_folder import open_files

    run = load_finetune_run(folder)
    out = folder / "predictions" if out is None else out
    files = named(inputs, list_images, with_suffix=True)
    images = open_files(inputs[0], files, lambda items: progress(items, "images"))
    for problem in images.problems:
        say(f"frugalseg: {problem}")
    _write_predictions(run, images, out)
    say(f"{len(images)} of {len(files)} images told, in {out / 'predictions.csv'}.")
    if images.problems:
        raise FrugalsegError(
            f"{len(images.problems)} of {len(files)} images could not be read (above)."
        )


def evaluate(
    folder: Path, data: Path | None, split: str | None, labels: str | None
) -> dict[str, Any]:
    """Score a run on labelled images that it did not learn from."""
    run = load_finetune_run(folder)
    own = run.config.data or ""
    config = run.config
    if data is not None and not same_place(data, own):
        config = dataclasses.replace(config, data=str(data), labels=None)
    if labels is not None:
        config = dataclasses.replace(config, labels=labels)
    by = label_name(run.config.labels, labels)
    return _evaluate(run, _open(config), split, data_name(own, data), by)


def _evaluate(
    run: FinetuneRun, images: Any, split: str | None, name: str, by: str = ""
) -> dict[str, Any]:
    """Score, write ``results/DATA-SPLIT.json``, print a table."""
    from frugalseg.evaluation.class_results import class_scores, class_table, write_class_result
    from frugalseg.training.finetune import answer_classes
    from frugalseg.training.views import Views

    chosen = _scored(run, images, split)
    truth = _labels(run, images)[chosen]
    views = Views(**run.views)
    answers = answer_classes(run.net, images, chosen, views, run.config.crops, _bar).argmax(1)
    scores = class_scores(answers, truth, run.class_names)
    what = {
        "run": run.folder.name,
        "data": images.name,
        "split": split or (run.state["split"] if _own(run, images) else "all"),
        "learned": run.state["learned"],
        "config_hash": run.state["config_hash"],
        "seed": run.config.seed,
        "untrained": run.config.untrained,
        "steps": run.config.steps,
        "trunk": run.plan.trunk,
    }
    path = result_path(run.folder, name, what["split"].replace(" ", "-"), by)
    write_class_result(what, scores, path)
    print(class_table(what, scores), end="")
    say(f"Written: {path}")
    return {"what": what, "scores": scores}


def _scored(run: FinetuneRun, images: Any, split: str | None) -> Any:
    """Images to score: those put aside in the training, or labelled ones not learned from."""
    if split is not None and split not in images.splits:
        raise FrugalsegError(
            f"{images.root} has no split {split!r}: there are {', '.join(images.splits)}."
        )
    if images.labels is None or not len(images.labelled):
        raise FrugalsegError(
            f"{images.root} has no labels to score against: give --labels CSV (file,label), or "
            "--labels folders where sub-folders are the labels."
        )
    known = np.intersect1d(images.splits[split or "all"], images.labelled)
    if _own(run, images):
        used = _use(run.folder / "labels.csv")
        wanted = "score" if split is None and run.state["scored"] else None
        kept = [
            used.get(images.names[i], "") == wanted
            if wanted
            else used.get(images.names[i]) != "training"
            for i in known.tolist()
        ]
        known = known[np.array(kept, bool)]
    if not len(known):
        raise FrugalsegError(
            f"{run.folder} learned from all labelled images of {images.root}: "
            "give other ones to score on (--data, --labels)."
        )
    return known


def _use(path: Path) -> dict[str, str]:
    """What the label of each image was used for."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["file"]: row["used"] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        raise FrugalsegError(
            f"{path} cannot be read ({error}): it says which images were learned from."
        ) from error


def _own(run: FinetuneRun, images: Any) -> bool:
    """Whether these are the images that the run was taught with."""
    return same_place(images.root, run.config.data or "")


def _labels(run: FinetuneRun, images: Any) -> Any:
    """Labels as the run's classes."""
    unknown = sorted(set(images.class_names) - set(run.class_names))
    if unknown:
        raise FrugalsegError(
            f"{images.root} has the class {unknown[0]!r}, which {run.folder} does not know: "
            f"it knows {', '.join(run.class_names[:8])}."
        )
    places = np.array([run.class_names.index(name) for name in images.class_names])
    return np.where(images.labels >= 0, places[images.labels], -1)


def _write_predictions(run: FinetuneRun, images: Any, out: Path) -> None:
    from frugalseg.evaluation.class_results import write_predictions
    from frugalseg.training.finetune import answer_classes
    from frugalseg.training.views import Views

    everything = np.arange(len(images))
    views = Views(**run.views)
    answers = answer_classes(run.net, images, everything, views, run.config.crops, _bar)
    write_predictions(images.names, answers, run.class_names, out / "predictions.csv")


def _open(config: FinetuneConfig) -> Any:
    from frugalseg.data.image_sets import open_images

    return open_images(config.data or "", config.labels, lambda items: progress(items, "files"))


def _bar(items: Any) -> Any:
    return progress(items, "pieces")
