"""Answers of a fine-tuned discovery: label images, overlays and scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from frugalseg.console import log, track
from frugalseg.data.headers import say_of_images
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.results import Result, ResultKind, make_result, write_result
from frugalseg.errors import FrugalsegError
from frugalseg.files import same_path
from frugalseg.metrics.confusion import confusion, mean_of_known, share
from frugalseg.tasks.base import Files, Options
from frugalseg.tasks.discover.evaluate import named_scores
from frugalseg.tasks.discover.export import RegionWriter
from frugalseg.tasks.finetune.evaluate import images_to_score
from frugalseg.tasks.finetune.masks import masked_images, open_masks
from frugalseg.tasks.finetune.places import PlaceRun


def export_places(run: PlaceRun, data: ImageMaskFolder, kind: ResultKind) -> Result | None:
    """Write labels, overlays and regions.csv of a run's own images, and score held-out masks."""
    writer = RegionWriter(run.dir.path, data.names, run.classes)
    for sample, name in zip(track(data.samples, "images"), data.names, strict=True):
        answer = run.predict(sample.image)
        writer.write(name, answer.pixels, answer.labels)
    writer.finish()
    log.info(f"The answers for all images: {run.dir.path / 'labels'}, and overlays to look at.")
    if not run.state["scored"]:
        return None
    result = evaluate_places(run, data, run.state["split"], kind)
    write_result(result, run.dir.result_path(f"{data.name}-{run.state['split'].replace(' ', '-')}"))
    return result


def predict_places(run: PlaceRun, files: Files, out: Path) -> Sequence[str]:
    """Segment new images: labels, overlays, regions.csv and classes.csv."""
    writer = RegionWriter(out, [name for _, name in files], run.classes)
    writer.refuse_overwriting([path for path, _ in files], run.dir.path)
    say_of_images([path for path, _ in files])
    problems = []
    for path, name in track(files, "images"):
        try:
            answer = run.predict(path, name)
        except FrugalsegError as error:
            problems.append(str(error))
            continue
        writer.write(name, answer.pixels, answer.labels)
    if writer.shares:
        writer.finish()
    return problems


def open_scored_masks(run: PlaceRun, data: str | None, options: Options) -> ImageMaskFolder:
    """The images and masks that a run is scored on: its own or others."""
    config = run.config
    if options.get("labels") is not None:
        raise FrugalsegError(f"{run.dir} learned from masks: give --masks, not --labels.")
    if data is not None and not same_path(data, config.data):
        config = replace(config, data=data, masks="folder")
    if options.get("masks") is not None:
        config = replace(config, masks=str(options["masks"]))
    return open_masks(config, run.discovery.config.bands)


def evaluate_places(run: PlaceRun, data: ImageMaskFolder, split: str, kind: ResultKind) -> Result:
    """Score a run at the original resolution, on images with masks that it did not learn from.

    Raises:
        FrugalsegError: there is no such split, there are no such images, or the masks have a class
            that the run does not know.
    """
    names = run.classes.names
    unknown = sorted(set(data.classes.names) - set(names))
    if unknown:
        raise FrugalsegError(
            f"{data.root} has the class {unknown[0]!r}, which {run.dir} does not know: it knows "
            f"{', '.join(names[:8])}."
        )
    own_index = np.array([*map(names.index, data.classes.names)], np.uint8)
    table = np.full(256, 255, np.uint8)
    table[: len(own_index)] = own_index
    counts = np.zeros((len(names), len(names)), np.int64)
    scored = images_to_score(run, data, split, lambda part: masked_images(data, part), "masks")
    for i in track(scored.tolist(), "images"):
        truth = data.truth(i)
        assert truth is not None
        answer = run.predict(data.samples[i].image)
        counts += confusion(answer.labels, table[truth], *counts.shape)
    if not counts.sum():
        raise FrugalsegError(f"{data.root}: no pixel of {split} has a class in its mask.")
    shares = [share(r, n) for r, n in zip(counts.diagonal(), counts.sum(0), strict=True)]
    scores = {
        **named_scores(counts, np.arange(len(names)), names),
        "balanced": mean_of_known(shares),
        "images": len(scored),
        "classes": dict(zip(names, shares, strict=True)),
        "class_names": list(names),
        "confusion": counts.T.tolist(),
    }
    what = {
        "run": run.dir.name,
        "data": data.name,
        "split": split,
        "images": len(scored),
        "learned": run.state["learned"],
        "untrained": False,
        "steps": 0,
        "backbone": run.discovery.backbone_name,
        "method": run.state["method"],
    }
    parts = {"cross_validation": run.state["cross_validation"]}
    return make_result(kind, run.asked, what, scores, **parts)
