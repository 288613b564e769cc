"""Evaluate a run: scores at original resolution and what they cost, one result for each split."""

import operator
from collections.abc import Callable, Iterable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.data.classes import ClassList
from frugalseg.data.folder import SegmentationFolder
from frugalseg.data.layout import Sample
from frugalseg.data.masks import read_mask
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.cost import (
    NOT_COUNTED,
    StageTimer,
    count_multiply_adds,
    forget_peak_memory,
    peak_memory_bytes,
)
from frugalseg.evaluation.results import command_line, environment
from frugalseg.evaluation.scores import count_image, summarise
from frugalseg.networks.samplers import SAMPLERS
from frugalseg.pipeline import FrugalModel
from frugalseg.runs import Run, SegmentConfig, config_hash
from frugalseg.sampling import folded_cells

Progress = Callable[[Iterable[Any]], Iterable[Any]]


def evaluate_run(
    run: Run, dataset: SegmentationFolder, split: str, progress: Progress = iter
) -> dict[str, Any]:
    """Predict every image of a split and score the answers against its masks.

    Args:
        run: a loaded run.
        dataset: the folder to score on; its classes must be the run's.
        split: which of its splits.
        progress: wraps the loop over images.

    Returns:
        A result for :func:`write_result`.

    Raises:
        FrugalsegError: the split is missing, empty or without masks, or the classes differ.
    """
    samples = samples_to_score(dataset, split)
    if dataset.classes.names != run.classes.names:
        raise FrugalsegError(f"{dataset.root} has other classes than the run {run.folder}.")
    classes, model = run.classes, run.model
    timer = StageTimer(model.device)
    model.predict(samples[0].image, _truth(samples[0], dataset.classes), classes.targets)  # warm up
    counts, folded = [], 0.0
    forget_peak_memory(model.device)
    for sample in progress(samples):
        truth = _truth(sample, dataset.classes)  # masks may hold ids that the run does not know
        answer = model.predict(sample.image, truth, classes.targets, timer)
        counts.append(count_image(answer.labels, truth, classes.num_classes, classes.targets))
        folded += folded_cells(answer.phi[None]).item()
        counts = [reduce(operator.add, counts)]
    return {
        "format": 1,
        "what": _what(run, dataset, split, len(samples)),
        # a machine may have a GPU that the model is not on
        "environment": environment() | {"device": model.device.type},
        "scores": summarise(counts[0], classes.names, classes.targets),
        "cost": {
            "multiply_adds": multiply_adds(model),
            "not_counted": NOT_COUNTED,
            "seconds": timer.median(),
            "peak_memory_bytes": peak_memory_bytes(model.device),
        },
        "folded_cells": folded / len(samples),
        "pixels_read": model.size[0] * model.size[1],
    }


def samples_to_score(dataset: SegmentationFolder, split: str) -> tuple[Sample, ...]:
    """The images of a split, which all have masks.

    Args:
        dataset: the folder.
        split: which of its splits.

    Raises:
        FrugalsegError: the split is missing, empty or without masks; the message says which there
            are.
    """
    masked = {
        name: samples
        for name, samples in dataset.splits.items()
        if samples and all(sample.mask is not None for sample in samples)
    }
    if split not in masked:
        lacks = "masks" if dataset.splits.get(split) else "images"
        raise FrugalsegError(
            f"{dataset.root} has no {lacks} in the split {split!r}; "
            f"those to score are {', '.join(masked)}."
        )
    return masked[split]


def multiply_adds(model: FrugalModel) -> dict[str, int]:
    """Multiply-adds an image of the sampler's network and of the segmenter.

    Args:
        model: the model.

    Returns:
        ``{"sampler": ..., "segmenter": ..., "total": ...}``.
    """
    network = getattr(model.sampler, "network", None)
    sampler = 0
    if network is not None:
        sampler = count_multiply_adds(network, torch.rand(1, 3, *model.view, device=model.device))
    inputs = [torch.rand(1, 3, *model.size, device=model.device)]
    if model.segmenter.extra_channels:
        channels = model.segmenter.extra_channels
        inputs.append(torch.rand(1, channels, *model.size, device=model.device))
    segmenter = count_multiply_adds(model.segmenter, *inputs)
    return {"sampler": sampler, "segmenter": segmenter, "total": sampler + segmenter}


def _truth(sample: Sample, classes: ClassList) -> NDArray[np.uint8]:
    assert sample.mask is not None
    return read_mask(sample.mask, classes)


def _what(run: Run, dataset: SegmentationFolder, split: str, images: int) -> dict[str, Any]:
    config = run.config
    by = dataset.divided_by
    return {
        "command": command_line(),
        "run": run.folder.name,
        "data": dataset.root.name,
        "truth": "masks" if by is None else f"regions found by {by.name}",
        "split": split,
        "images": images,
        "config_hash": config_hash(config),
        "seed": config.seed,
        "sampler": config.sampler,
        "size": list(config.size),
        "segmenter": config.segmenter,
        "encoder": None if config.segmenter == "unet-plain" else config.encoder,
        "trust": run.state["trust"],
        "steps": config.steps,
        "variant": variant_of(config, by is not None),
    }


_TOLD_ELSEWHERE = {"data", "size", "sampler", "segmenter", "encoder", "steps", "seed", "boundaries"}
_WITHOUT_EFFECT = {"devices", "nodes"}


def variant_of(config: SegmentConfig, divided: bool = False) -> str | None:
    """What else tells a run from others of its sampler: settings away from their defaults.

    Args:
        config: the run's.
        divided: whether regions of a discovery stand in place of masks.
    """
    default = SegmentConfig(config.data)
    said = []
    for name, value in vars(config).items():
        if name in _TOLD_ELSEWHERE | _WITHOUT_EFFECT or value == getattr(default, name):
            continue
        said.append(f"{name}={Path(value).name if name in ('classes', 'mapping') else value}")
    if config.boundaries and (divided or getattr(SAMPLERS[config.sampler], "learns", False)):
        said.append(f"{'regions' if divided else 'boundaries'} of {Path(config.boundaries).name}")
    return ", ".join(said) or None
