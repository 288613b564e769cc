"""Samplers taught by discovered boundaries beside those taught by true ones, with few masks or all.

Whatever teaches the sampler, masks teach the segmenter: all of the training images', or a share.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frugalseg.data.folder import SegmentationFolder
from frugalseg.data.images import read_image
from frugalseg.data.masks import read_mask
from frugalseg.data.region_images import open_region_images
from frugalseg.discover_runs import DiscoverConfig, load_discover_run
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.ceiling import ceiling_confusion, ceilings
from frugalseg.evaluation.evaluate import evaluate_run, samples_to_score
from frugalseg.evaluation.results import read_result, spread_text, write_result
from frugalseg.files import write_whole
from frugalseg.pipeline import decode_scale
from frugalseg.recipes.clustering import Say
from frugalseg.runs import Run, SegmentConfig, config_hash, load_run
from frugalseg.sampling import area_average, blend_with_uniform
from frugalseg.training.segment import open_data, train_segmentation

TAUGHT = ("uniform", "true", "discovered")  # what says where to look


@dataclass(frozen=True)
class JoinedStudy:
    """What is trained and compared.

    Attributes:
        config: of the segmentations; sampler taught by, masks and seed are replaced.
        out: folder of the result files and ``table.md``.
        runs: folder of the runs.
        regions: kinds of region that are discovered.
        found: a finished discovery to take; by default one is trained on the training images.
        shares: of the training masks, for the segmenter (and for a sampler taught by masks).
        seeds: seeds of the segmentations.
        score: split to report on.
        settings: of :class:`DiscoverConfig`, where a discovery is trained.
    """

    config: SegmentConfig
    out: Path
    runs: Path
    regions: int = 8
    found: Path | None = None
    shares: Sequence[float] = (1.0, 0.1)
    seeds: Sequence[int] = (0,)
    score: str = "val"
    settings: dict[str, Any] = field(default_factory=dict)


def run_joined(study: JoinedStudy, say: Say = lambda text: None) -> str:
    """Train and evaluate every combination; what is there already is not done again.

    Returns:
        The table, also written as ``table.md``.

    Raises:
        FrugalsegError: no such split or setting, or what training raises.
    """
    data = open_data(study.config)
    samples_to_score(data, study.score)
    found = study.found or _discover(study, data, say)
    load_discover_run(found)
    table = ""
    for seed in study.seeds:  # whole rounds, so that an interrupted study compares like with like
        for share in study.shares:
            for taught in TAUGHT:
                _train_and_score(study, data, found, (taught, share, seed), say)
                table = _table([read_result(path) for path in sorted(study.out.glob("*.json"))])
                write_whole(table.encode(), study.out / "table.md")
    return table


def _discover(study: JoinedStudy, data: SegmentationFolder, say: Say) -> Path:
    """Regions of the training images (of all where the folder gives no splits), without masks."""
    from frugalseg.training.discover import train_discovery

    names = {f.name for f in dataclasses.fields(DiscoverConfig)}
    settings = {name.replace("-", "_"): value for name, value in study.settings.items()}
    if unknown := sorted(set(settings) - names):
        raise FrugalsegError(f"A discovery has no setting {unknown[0]!r}.")
    images = open_region_images(data.root)
    split = "train" if "train" in images.images.splits else "all"
    fixed: dict[str, Any] = {"data": str(data.root), "classes": study.regions, "split": split}
    config = DiscoverConfig(**{**fixed, **settings})
    folder = study.runs / f"regions-{study.regions}"
    say(f"== {folder.name}")
    train_discovery(config, folder, progress=False, say=say, data=images)
    return folder


def _train_and_score(
    study: JoinedStudy,
    data: SegmentationFolder,
    found: Path,
    which: tuple[str, float, int],
    say: Say,
) -> None:
    taught, share, seed = which
    name = f"{taught}-{share:g}-{seed}"
    path = study.out / f"{name}.json"
    if path.exists():
        return
    say(f"== {name}")
    config = dataclasses.replace(
        study.config,
        sampler="uniform" if taught == "uniform" else study.config.sampler,
        boundaries=str(found) if taught == "discovered" else None,
        mask_share=share,
        seed=seed,
    )
    train_segmentation(config, study.runs / name, progress=False, say=say)
    run = load_run(study.runs / name)
    result = evaluate_run(run, data, study.score)
    result["what"] |= {"taught": taught, "mask_share": share}
    regions = load_discover_run(found)
    told = {"regions": regions.classes, "config_hash": config_hash(regions.config)}
    write_result(
        {**result, "ceiling": sampling_ceiling(run, data, study.score), "discovery": told}, path
    )


def sampling_ceiling(run: Run, data: SegmentationFolder, split: str) -> dict[str, float | None]:
    """What a perfect segmenter would score at the samples of a run.

    Args:
        run: a loaded run.
        data: the folder.
        split: which of its images.

    Returns:
        Mean IoU "all" and of "target" classes as the sampler is followed, and "trusted" and
        "trusted_target" where it is followed wholly; None where no such class is in the masks.
    """
    model, classes = run.model, run.classes
    counts = {trust: np.zeros((classes.num_classes,) * 2, np.int64) for trust in (model.trust, 1.0)}
    for sample in data.splits[split]:
        assert sample.mask is not None
        truth = read_mask(sample.mask, data.classes)
        pixels = read_image(sample.image, decode_scale(truth.shape, model.size, model.oversample))
        with torch.inference_mode():
            phi = model.sampler(area_average(pixels, model.view)[None].to(model.device)).cpu()
            for trust, count in counts.items():
                count += ceiling_confusion(
                    truth, blend_with_uniform(phi, trust)[0], classes.num_classes
                )
    whole = ceilings(counts[1.0], classes.targets)
    trusted = {"trusted": whole["all"], "trusted_target": whole["target"]}
    return ceilings(counts[model.trust], classes.targets) | trusted


def _table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for results that differ by seed alone: mean (least to greatest)."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for result in results:
        what = result["what"]
        key = (what["mask_share"], tuple(what["size"]), what["steps"], what["split"])
        groups.setdefault((*key, TAUGHT.index(what["taught"])), []).append(result)
    columns = (
        ("mIoU all", lambda r: r["scores"]["miou"]["all"]),
        ("mIoU target", lambda r: r["scores"]["miou"]["target"]),
        ("ceiling all", lambda r: r["ceiling"]["all"]),
        ("ceiling target", lambda r: r["ceiling"]["target"]),
        ("fully followed", lambda r: r["ceiling"]["trusted"]),
        ("trust", lambda r: r["what"]["trust"]),
    )
    header = ["boundaries", "masks", "points", "seeds", *(name for name, _ in columns)]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for key in sorted(groups, key=lambda key: (-key[0], *key[1:])):
        group = groups[key]
        what = group[0]["what"]
        words = [what["taught"] if what["taught"] != "uniform" else "none (uniform)"]
        words += [f"{key[0]:.0%}", "x".join(map(str, key[1])), str(len(group))]
        for _, value in columns:
            words.append(spread_text(group, value, ".3f"))
        lines.append(words)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
