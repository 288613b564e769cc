"""The commands of discoveries: regions without labels."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.commands.common import named, progress, result_path, same_data, say
from frugalseg.discover_runs import TASK, DiscoverConfig, DiscoverRun, load_discover_run
from frugalseg.errors import FrugalsegError


def discover(data: Path, folder: Path | None, config: DiscoverConfig) -> None:
    """Train a run, and write what it makes of its images."""
    from frugalseg.evaluation.cluster_results import write_cluster_result
    from frugalseg.reports.region_files import RegionWriter, answer_regions
    from frugalseg.runs import write_state
    from frugalseg.training.discover import train_discovery
    from frugalseg.training.fit import is_main_process

    config = dataclasses.replace(config, data=str(data))
    if folder is None:
        folder = Path("runs") / f"{data.resolve().name}-regions-{config.classes}-{config.seed}"
    images = _open(config)
    for problem in images.images.problems:
        say(f"frugalseg: {problem}")
    train_discovery(config, folder, sys.stderr.isatty(), say, images)
    if not is_main_process():
        return
    run = load_discover_run(folder)
    names = [images.images.names[i] for i in images.indices(config.split)]
    writer = RegionWriter(run, folder, names)
    result = answer_regions(run, images, config.split, _bar, writer)
    if result["scores"] is not None:
        write_state(folder, {**run.state, "region_names": result["names"]})
    write_cluster_result(result, result_path(folder, images.images.name, config.split))
    _print([result])
    say(f"The regions: {folder / 'overlays'} to look at, {folder / 'labels'} to use.")
    say(f"The run is in {folder}. Next: frugalseg predict {folder} IMAGES")


def predict(folder: Path, inputs: Sequence[Path], out: Path | None) -> None:
    """Divide new images into the regions of a run; broken ones are named, the rest goes on."""
    from frugalseg.data.folder import list_images
    from frugalseg.reports.region_files import write_predictions

    run = load_discover_run(folder)
    out = folder / "predictions" if out is None else out
    files = named(inputs, list_images, with_suffix=True)
    broken = 0
    for problem in write_predictions(run, files, out, _bar):
        broken += 1
        say(f"frugalseg: {problem}")
    say(f"{len(files) - broken} of {len(files)} images divided, in {out}.")
    if broken:
        raise FrugalsegError(f"{broken} of {len(files)} images could not be read (above).")


def evaluate(
    folder: Path, data: Path | None, split: str | None, masks: str | None, labelled: Path | None
) -> dict[str, Any]:
    """Score a run against masks, write ``results/DATA-SPLIT.json``, print a table."""
    from frugalseg.evaluation.cluster_results import write_cluster_result

    run = load_discover_run(folder)
    result = _evaluate(run, data, split or run.config.split, masks or run.config.masks or "folder")
    path = result_path(folder, result["what"]["data"], result["what"]["split"])
    write_cluster_result(result, path)
    _print([result])
    for name, iou in result["scores"]["iou"].items():
        print(f"  {name:20s} {'absent' if iou is None else f'{iou:.3f}'}")
    say(f"Written: {path}")
    return result


def compare(folders: Sequence[Path], split: str | None, out: Path) -> None:
    """Compare runs on the same images; what is not yet evaluated is evaluated."""
    from frugalseg.evaluation.cluster_results import read_cluster_result, write_cluster_result
    from frugalseg.reports.compare_clusters import write_cluster_comparison

    runs = [load_discover_run(folder) for folder in folders]
    same_data([(run.folder, run.config.data) for run in runs])
    results = []
    for run in runs:
        where = split or run.config.split
        path = result_path(run.folder, Path(run.config.data).resolve().name, where)
        if not path.exists():
            say(f"Evaluating {run.folder} on {where}")
            write_cluster_result(_evaluate(run, None, where, run.config.masks), path)
        results.append(read_cluster_result(path, TASK))
    write_cluster_comparison(results, {}, out)
    _print(results)
    say(f"Written: {out}")


def _open(config: DiscoverConfig) -> Any:
    from frugalseg.training.discover_plan import open_discover_data

    return open_discover_data(config, lambda items: progress(items, "files"))


def _bar(items: Any) -> Any:
    return progress(items, "images")


def _evaluate(run: DiscoverRun, data: Path | None, split: str, masks: str | None) -> dict[str, Any]:
    from frugalseg.reports.region_files import answer_regions

    config = dataclasses.replace(run.config, split=split, masks=masks)
    if data is not None:
        config = dataclasses.replace(config, data=str(data))
    return answer_regions(run, _open(config), split, _bar)


def _print(results: Sequence[dict[str, Any]]) -> None:
    from frugalseg.evaluation.cluster_results import cluster_table
    from frugalseg.reports.cluster_words import health_in_words

    print(cluster_table(results), end="")
    for result in results:
        for remark in health_in_words(result["health"], result["losses"], "places"):
            say(f"{result['what']['run']}: {remark.text}")
