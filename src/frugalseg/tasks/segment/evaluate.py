"""Evaluate a run: scores at original resolution, and their cost."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.console import log, track
from frugalseg.data.class_lists.classes import ClassList, lack_of_classes
from frugalseg.data.class_lists.files import find_class_file
from frugalseg.data.image_mask_folder import ImageMaskFolder, draw_splits
from frugalseg.data.layouts.samples import Sample
from frugalseg.data.masks import read_mask
from frugalseg.engine.config import Size
from frugalseg.engine.results import Result, ResultKind, make_result, number_at
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads
from frugalseg.metrics.cost import (
    NOT_COUNTED,
    StageTimer,
    count_multiply_adds,
    forget_peak_memory,
    peak_memory_bytes,
)
from frugalseg.metrics.segmentation import count_image, summarise
from frugalseg.sampling import folded_cells
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.model import FrugalModel, Run

RESULT = ResultKind(
    task="segment",
    names=("sampler", "size", "segmenter", "encoder", "steps"),
    parts={
        "what": ("blend",),
        "scores": ("iou", "miou", "absent", "pixel_accuracy", "bands", "objects"),
        "cost": ("multiply_adds", "not_counted", "seconds", "peak_memory_bytes"),
    },
    columns=(
        ("mIoU all", ".3f", number_at("scores", "miou", "all")),
        ("mIoU target", ".3f", number_at("scores", "miou", "target")),
        ("M multiply-adds", ".0f", lambda r: r.parts["cost"]["multiply_adds"]["total"] / 1e6),
        ("seconds an image", ".4f", number_at("cost", "seconds", "total")),
    ),
)


def open_scored(run: Run, data: str | None, options: Mapping[str, Any]) -> ImageMaskFolder:
    """Open the folder that a run is scored on.

    Args:
        run: a loaded run.
        data: another folder than the run's own. Its masks are read by the classes of the run if
            nothing else says what their ids mean.
        options: "images" and "masks", folders in place of those of the run or the layout.

    Raises:
        FrugalsegError: something is wrong with the folder, or an id is not among the classes.
    """
    named: dict[str, Any] = {k: str(v) for k, v in options.items() if v is not None}
    if data is None:
        return open_data(replace(run.asked, **named))
    others: dict[str, Any] = {"images": None, "masks": None, "data": data} | named
    config = replace(run.asked, mask_share=1.0, hold_out=0.0, val_share=0.0, **others)
    declared = config.classes or config.mapping or find_class_file(Path(data))
    borrowed = not declared and config.boundaries is None  # ids of regions are not those of masks
    if borrowed:
        log.info(f"{data} has no class list: its masks are read by the classes of {run.dir}.")
        config = replace(config, classes=str(run.dir.path / "classes.csv"))
    dataset = open_data(config)
    try:
        for _ in in_threads(lambda s: _truth(s, dataset.classes), dataset.samples * borrowed):
            pass
    except FrugalsegError as error:
        text = f"{error} The class list is that of {run.dir}, because {data} has none."
        raise FrugalsegError(text) from None
    if len(dataset.splits.get("train", ())) < 2:
        return dataset
    splits = {name: list(samples) for name, samples in dataset.splits.items()}
    return replace(dataset, splits=draw_splits(splits, 0, run.asked.val_share, 0.0))


def class_differences(classes: ClassList, expected: ClassList) -> str:
    """In what the names of two unequal class lists differ, in words."""
    lacks = ", ".join(name for name in expected.names if name not in classes.names)
    adds = ", ".join(name for name in classes.names if name not in expected.names)
    parts = [f"lacks {lacks}"] * bool(lacks) + [f"adds {adds}"] * bool(adds)
    return "it " + (" and ".join(parts) or "has them in another order")


def evaluate_run(run: Run, dataset: ImageMaskFolder, split: str) -> Result:
    """Predict every image of a split, and score the answers against its masks.

    Args:
        run: a loaded run.
        dataset: the folder to score on; its classes must be those of the run.
        split: one of its splits, or "all".

    Raises:
        FrugalsegError: the split is missing, empty or without masks, no pixel has a class, or the
            classes differ.
    """
    samples = samples_to_score(dataset, split)
    if dataset.classes.names != run.classes.names:
        raise FrugalsegError(
            f"{dataset.root} has other classes than the run {run.dir}: "
            f"{class_differences(dataset.classes, run.classes)}. If its masks hold the ids of "
            f"{run.dir.path / 'classes.csv'}, copy that file there; else change the masks or train "
            "on these classes."
        )
    classes, model, config = run.classes, run.model, run.config
    timer = StageTimer(model.device)
    model.predict(samples[0].image, _truth(samples[0], dataset.classes), classes.targets)  # warm up
    counts, folded = None, 0.0
    forget_peak_memory(model.device)
    for sample in track(samples, "images"):
        truth = _truth(sample, dataset.classes)  # masks may hold ids that the run does not know
        answer = model.predict(sample.image, truth, classes.targets, timer)
        counted = count_image(answer.labels, truth, classes.num_classes, classes.targets)
        counts = counted if counts is None else counts + counted
        folded += folded_cells(answer.phi[None]).item()
    assert counts is not None, "the split is not empty"
    areas = counts.confusion.sum(0)
    lack = lack_of_classes(classes.names, areas, f"the masks of {dataset.root} ({split})")
    if lack:
        if not areas.any() or classes.num_classes < 2:
            raise FrugalsegError(lack)
        log.warning(lack)
    regions = dataset.pseudo_labels
    what = {
        "run": run.dir.name,
        "data": dataset.name,
        "truth": "masks" if regions is None else f"regions found by {regions.name}",
        "split": split,
        "images": len(samples),
        "sampler": config.sampler,
        "size": list(config.size),
        "segmenter": config.segmenter,
        "encoder": None if config.segmenter == "unet-plain" else config.encoder,
        "blend": config.blend,
        "steps": config.steps,
    }
    result = make_result(
        RESULT,
        run.asked,
        what,
        summarise(counts, classes.names, classes.targets),
        cost={
            "multiply_adds": multiply_adds(model),
            "not_counted": NOT_COUNTED,
            "seconds": timer.median(),
            "peak_memory_bytes": peak_memory_bytes(model.device),
        },
        folded_cells=folded / len(samples),
        pixels_read=model.size[0] * model.size[1],
    )
    # a machine may have a GPU that the model is not on
    where = {**result.environment, "device": model.device.type}
    return replace(result, environment=where)


def samples_to_score(dataset: ImageMaskFolder, split: str) -> tuple[Sample, ...]:
    """The images of a split, all of which have masks.

    Args:
        dataset: the folder.
        split: one of its splits, or "all".

    Raises:
        FrugalsegError: the split is missing, empty or without masks; the message names the splits
            that can be scored.
    """
    masked = {
        name: samples
        for name, samples in dataset.splits.items()
        if samples and all(sample.mask is not None for sample in samples)
    }
    masked["all"] = tuple(sample for sample in dataset.samples if sample.mask is not None)
    if split not in masked:
        lacks = "masks" if dataset.splits.get(split) else "images"
        raise FrugalsegError(
            f"{dataset.root} has no {lacks} in the split {split!r}; "
            f"those to score are {', '.join(masked)}."
        )
    return masked[split]


def multiply_adds(model: FrugalModel) -> dict[str, int]:
    """Multiply-adds of the sampler's network and of the segmenter, for one image.

    Returns:
        ``{"sampler": ..., "segmenter": ..., "total": ...}``.
    """

    def random(channels: int, size: Size) -> torch.Tensor:
        return torch.rand(1, channels, *size, device=model.device)

    network, extra = getattr(model.sampler, "network", None), model.segmenter.extra_channels
    sampler = 0 if network is None else count_multiply_adds(network, random(3, model.thumbnail))
    inputs = [random(channels, model.size) for channels in (3, extra) if channels]
    segmenter = count_multiply_adds(model.segmenter, *inputs)
    return {"sampler": sampler, "segmenter": segmenter, "total": sampler + segmenter}


def _truth(sample: Sample, classes: ClassList) -> NDArray[np.uint8]:
    assert sample.mask is not None
    return read_mask(sample.mask, classes)
