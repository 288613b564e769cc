"""Samplers side by side: the same data, steps and augmentation, several points and seeds."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frugalseg.data.folder import SegmentationFolder
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.evaluate import evaluate_run, samples_to_score, variant_of
from frugalseg.evaluation.results import (
    group_seeds,
    markdown_table_over_seeds,
    mean_and_range,
    read_result,
    write_result,
)
from frugalseg.files import write_whole
from frugalseg.networks.samplers import build_sampler
from frugalseg.options import Size
from frugalseg.runs import SegmentConfig, load_run
from frugalseg.training.segment import (
    check_points,
    open_data,
    read_through,
    train_segmentation,
)


def run_study(
    config: SegmentConfig,
    samplers: Sequence[str],
    sizes: Sequence[Size],
    seeds: Sequence[int],
    split: str,
    out: Path,
    runs: Path,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """Train and evaluate every combination; what is there already is not done again.

    Args:
        config: settings that all share; sampler, size and seed are replaced.
        samplers: names of samplers.
        sizes: numbers of samples.
        seeds: seeds.
        split: the split to report on.
        out: folder of the result files, one a run; of all that lie there ``table.md``, and
            ``curve.svg``, quality against multiply-adds.
        runs: folder of the runs themselves.
        say: is told, in words, what begins.

    Returns:
        The table, means over seeds.

    Raises:
        FrugalsegError: the split has no images with masks, a combination cannot be trained, a
            result there is of other settings, or what training raises.
    """
    dataset = open_data(config)
    scored = samples_to_score(dataset, split)
    # whole rounds, so that an interrupted study compares like with like
    combinations = [
        dataclasses.replace(config, sampler=sampler, size=size, seed=seed)
        for seed in seeds
        for size in sizes
        for sampler in samplers
    ]
    to_do = [one for one in combinations if not _is_there(one, dataset, split, out / _file(one))]
    for one in {(one.sampler, one.size): one for one in to_do}.values():
        check_points(dataset, one.size)
        build_sampler(one.sampler, one.size, **one.sampler_options)
    if to_do:
        say(f"Reading the {len(scored)} images to score on")
        read_through(scored, dataset.classes)
    for one in to_do:
        path = out / _file(one)
        say(f"== {path.stem}")
        train_segmentation(one, runs / path.stem, say=say)
        write_result(evaluate_run(load_run(runs / path.stem), dataset, split), path)
        write_summary(out)
    return write_summary(out)


def _file(config: SegmentConfig) -> str:
    return f"{config.sampler}-{config.size[0]}x{config.size[1]}-{config.seed}.json"


def _is_there(config: SegmentConfig, dataset: SegmentationFolder, split: str, path: Path) -> bool:
    """Whether a result has been made; one of other settings is refused rather than shown again."""
    if not path.exists():
        return False
    there = read_result(path)["what"]
    asked = {
        "data": dataset.root.name,
        "split": split,
        "steps": config.steps,
        "segmenter": config.segmenter,
        "encoder": None if config.segmenter == "unet-plain" else config.encoder,
        "variant": variant_of(config, dataset.divided_by is not None),
    }
    for name, value in asked.items():
        if there.get(name) != value:
            raise FrugalsegError(
                f"{path} was made with other settings ({name}: {there.get(name)} there, {value} "
                "asked): name another folder with --out."
            )
    return True


def write_summary(folder: Path) -> str:
    """Write ``table.md`` and ``curve.svg`` of all results of a folder.

    Returns:
        The table, means over seeds, the cheaper first.
    """
    results = read_results(folder)
    table = markdown_table_over_seeds(results)
    write_whole(table.encode(), folder / "table.md")
    draw_curve(
        results,
        lambda result: float(result["cost"]["multiply_adds"]["total"]) / 1e6,
        "M multiply-adds an image",
        folder / "curve.svg",
    )
    return table


def read_results(folder: Path) -> list[dict[str, Any]]:
    """The results of a study, the cheaper first.

    Raises:
        FrugalsegError: there are none, or one cannot be read.
    """
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    if not results:
        raise FrugalsegError(f"{folder} holds no results of a study (*.json).")
    return sorted(results, key=lambda r: (r["what"]["size"], r["what"]["sampler"] != "uniform"))


def draw_curve(
    results: Sequence[dict[str, Any]],
    cost: Callable[[dict[str, Any]], Any],
    across: str,
    path: Path,
) -> None:
    """Quality against cost: a line for each sampler through its numbers of samples.

    Args:
        results: of one study.
        cost: what a result cost, a number; the same for all seeds.
        across: says what the cost is.
        path: SVG file.
    """
    from frugalseg.reports.panels import Line, Panel, draw_panels

    panels = []
    for kind in ("all", "target"):
        lines: dict[str, list[tuple[float, tuple[float, float, float]]]] = {}
        for group in sorted(group_seeds(results), key=lambda group: cost(group[0])):
            spread = mean_and_range(group, lambda r: r["scores"]["miou"][kind])  # noqa: B023
            if spread is not None:
                at = float(cost(group[0]))
                lines.setdefault(group[0]["what"]["sampler"], []).append((at, spread))
        drawn = []
        for name, points in lines.items():
            places, spreads = zip(*points, strict=True)
            drawn.append(Line(name, places, *zip(*spreads, strict=True)))
        if drawn:
            panels.append(Panel(across, drawn, up=f"mIoU {kind}"))
    draw_panels(panels, "", path)
