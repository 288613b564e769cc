"""Samplers taught by discovered boundaries beside those taught by true ones, with few masks or all.

Whatever teaches the sampler, masks teach the segmenter: all of the training images', or a share.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.grid import NONE, SEGMENT, train_and_score
from experiments.published import Numbers, Shares, read_options
from experiments.results import read_results
from frugalseg.console import log
from frugalseg.data.image_mask_folder import ImageMaskFolder, open_any_folder
from frugalseg.data.images import read_image
from frugalseg.data.masks import read_mask
from frugalseg.engine.config import Options
from frugalseg.engine.results import Result, Value, group_seeds, spread_text
from frugalseg.engine.run_dir import RunDir
from frugalseg.files import atomic_write
from frugalseg.reports.tables import markdown_table
from frugalseg.sampling import area_average, blend_with_uniform
from frugalseg.tasks import base
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.segment.blend import ceiling_confusion, ceilings
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.evaluate import samples_to_score
from frugalseg.tasks.segment.model import Run, decode_scale

TAUGHT = ("uniform", "true", "discovered")  # what says where to look


def boundary_transfer(
    data: Path,
    /,
    *,
    out: Path,
    runs: Path,
    regions: int = 8,
    discovery: Path | None = None,
    shares: Shares = (1.0, 0.1),
    seeds: Numbers = (0,),
    score: str = "val",
    settings: Options = NONE,
    config: SegmentConfig = SEGMENT,
) -> str:
    """Train and evaluate samplers by what teaches them; what is there already is not done again.

    Args:
        data: Folder of images and masks.
        out: Folder of the result files and table.md.
        runs: Folder of the runs.
        regions: Kinds of region that are discovered.
        discovery: A finished discovery to take; by default one is trained on the training images.
        shares: Of the training masks, for the segmenter (and for a sampler taught by masks).
        seeds: Of the segmentations.
        score: Split to report on.
        settings: Of "frugalseg discover", such as --settings.side 320.

    Returns:
        The table of all results there.

    Raises:
        FrugalsegError: no such split or setting, a result there is of other settings, or what
            training raises.
    """
    config = dataclasses.replace(config, data=str(data))
    samples_to_score(open_data(config), score)
    if discovery is None:
        discovery = runs / f"regions-{regions}"
        _discover(data, discovery, {"classes": regions, **read_options(settings)})
    learned, _ = RunDir(discovery).finished(DiscoverConfig)
    table = ""
    # whole rounds, so that an interrupted study compares like with like
    for seed, share, taught in itertools.product(seeds, shares, TAUGHT):
        one = dataclasses.replace(
            config,
            sampler="uniform" if taught == "uniform" else config.sampler,
            boundaries=str(discovery) if taught == "discovered" else None,
            mask_share=share,
            seed=seed,
        )
        path = out / f"{taught}-{share:g}-{seed}.json"
        also = {"discovery": learned.variant()} if taught == "discovered" else {}
        train_and_score(one, path, runs, score, parts=_ceiling, also=also)
        table = transfer_table(read_results(out))
        atomic_write(table.encode(), out / "table.md")
    return table


def _discover(data: Path, folder: Path, settings: Mapping[str, Any]) -> None:
    """Regions of the training images (of all if the folder gives no splits), without masks."""
    images = open_any_folder(data)
    split = "train" if "train" in images.splits else "all"
    log.info(f"== {folder.name}")
    values = {"data": str(data), "split": split, **settings}
    base.train_only(DiscoverConfig.from_values(values, "--settings"), folder, data=images)


def _ceiling(run: Run, data: ImageMaskFolder, split: str) -> dict[str, Any]:
    return {"ceiling": sampling_ceiling(run, data, split)}


def sampling_ceiling(run: Run, data: ImageMaskFolder, split: str) -> dict[str, float | None]:
    """What a perfect segmenter would score at the samples of a run.

    Args:
        run: a loaded run.
        data: the folder.
        split: which of its images.

    Returns:
        Mean IoU "all" and of "target" classes as the sampler is followed, and "followed" and
        "followed_target" if it is followed wholly; None if no such class is in the masks.
    """
    model, classes = run.model, run.classes
    counts = {blend: np.zeros((classes.num_classes,) * 2, np.int64) for blend in (model.blend, 1.0)}
    for sample in data.splits[split]:
        assert sample.mask is not None
        truth = read_mask(sample.mask, data.classes)
        pixels = read_image(sample.image, decode_scale(truth.shape, model.size, model.oversample))
        with torch.inference_mode():
            phi = model.sampler(area_average(pixels, model.thumbnail)[None].to(model.device)).cpu()
            for blend, count in counts.items():
                count += ceiling_confusion(
                    truth, blend_with_uniform(phi, blend)[0], classes.num_classes
                )
    whole = ceilings(counts[1.0], classes.targets)
    followed = {"followed": whole["all"], "followed_target": whole["target"]}
    return ceilings(counts[model.blend], classes.targets) | followed


_COLUMNS: tuple[tuple[str, Value], ...] = (
    ("mIoU all", lambda result: (result.scores or {})["miou"]["all"]),
    ("mIoU target", lambda result: (result.scores or {})["miou"]["target"]),
    ("ceiling all", lambda result: result.parts["ceiling"]["all"]),
    ("ceiling target", lambda result: result.parts["ceiling"]["target"]),
    ("fully followed", lambda result: result.parts["ceiling"]["followed"]),
    ("blend", lambda result: result.what["blend"]),
)


def transfer_table(results: Sequence[Result]) -> str:
    """Markdown: a row for results that differ by seed alone: mean (least to greatest)."""
    rows = []
    for group in sorted(group_seeds(results), key=lambda group: _place(group[0])):
        share, points, _, taught = _place(group[0])
        words = [TAUGHT[taught] if taught else "none (uniform)", f"{-share:.0%}"]
        words += ["x".join(map(str, points)), str(len(group))]
        rows.append([*words, *(spread_text(group, value, ".3f") for _, value in _COLUMNS)])
    header = ["boundaries", "masks", "points", "seeds", *(name for name, _ in _COLUMNS)]
    return markdown_table(header, rows, words=1)


def _place(result: Result) -> tuple[float, tuple[int, ...], int, int]:
    """Where a result stands in the table: by share (the largest first), points, steps, teaching."""
    what, share = result.what, result.parts["settings"]["mask_share"]
    return -share, tuple(what["size"]), what["steps"], TAUGHT.index(_taught(result))


def _taught(result: Result) -> str:
    """By which boundaries the sampler of a result was taught."""
    if result.what["sampler"] == "uniform":
        return "uniform"
    return "discovered" if result.parts["settings"]["boundaries"] else "true"
