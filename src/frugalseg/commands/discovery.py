"""The commands of discoveries: regions without labels."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.commands.common import (
    data_name,
    label_name,
    named,
    progress,
    result_path,
    same_data,
    say,
)
from frugalseg.discover_runs import TASK, DiscoverConfig, DiscoverRun, load_discover_run
from frugalseg.errors import FrugalsegError


def discover(data: Path, folder: Path | None, config: DiscoverConfig) -> None:
    """Train a run, and write what it makes of its images."""
    from frugalseg.evaluation.cluster_results import write_cluster_result
    from frugalseg.reports.region_album import RegionAlbum
    from frugalseg.reports.region_files import RegionWriter, answer_regions, region_classes
    from frugalseg.reports.region_page import write_region_report
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
    plain = region_classes([f"region {i}" for i in range(run.classes)])
    writer, album = RegionWriter(folder, names, plain), RegionAlbum(run.classes, len(names))
    result = answer_regions(run, images, config.split, _bar, writer, album.add)
    if result["scores"] is not None:
        write_state(folder, {**run.state, "region_names": result["names"]})
    write_cluster_result(result, result_path(folder, images.images.name, config.split))
    write_region_report(run, images, config.split, result, album, folder / "report.html")
    _print([result])
    say(f"The regions: {folder / 'report.html'} to look at, {folder / 'labels'} to use.")
    say(f"The run is in {folder}. Next: frugalseg predict {folder} IMAGES")


def predict(
    folder: Path, inputs: Sequence[Path], out: Path | None, masks: str | None = None
) -> None:
    """Divide new images into the regions of a run; broken ones are named, the rest goes on.

    With masks of some images that the run has learned from, finer regions are named by them.
    """
    from frugalseg.data.folder import list_images
    from frugalseg.reports.finer_regions import name_finer_regions
    from frugalseg.reports.region_files import refuse_places, write_predictions

    run = load_discover_run(folder)
    out = folder / "predictions" if out is None else out
    files = named(inputs, list_images, with_suffix=True)
    meant = None
    data = None if masks is None else _open(_other(run, None, run.config.split, masks))
    refuse_places(run, files, out, [mask for mask in data.masks if mask] if data else [])
    if data is not None:
        meant = name_finer_regions(run, data, _bar)
        kinds = ", ".join(meant.classes.names)
        say(f"{run.plan.over_classes} finer regions are named by {meant.masks} masks: {kinds}.")
    broken = 0
    for problem in write_predictions(run, files, out, _bar, meant):
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
    from frugalseg.reports.region_files import answer_regions

    run = load_discover_run(folder)
    where = split or run.config.split
    images = _open(_other(run, data, where, masks or run.config.masks or "folder"))
    by = label_name(run.config.masks or "folder", masks)
    if labelled is None:
        result = answer_regions(run, images, where, _bar)
    else:
        result = _named_by_few(run, images, where, labelled)
        by += f"-named-by-{labelled.stem}"
    path = result_path(folder, data_name(run.config.data, data), where, by)
    if result["scores"] is None:
        raise FrugalsegError(f"{images.images.root}: no pixel of {where} has a class in its mask.")
    write_cluster_result(result, path)
    _print([result])
    for name, iou in result["scores"]["iou"].items():
        print(f"  {name:20s} {'absent' if iou is None else f'{iou:.3f}'}")
    say(f"Written: {path}")
    return result


def compare(folders: Sequence[Path], split: str | None, out: Path, shown: int) -> None:
    """Compare runs on the same images; what is not yet evaluated is evaluated."""
    from frugalseg.evaluation.cluster_results import read_cluster_result, write_cluster_result
    from frugalseg.reports.compare_clusters import write_cluster_comparison
    from frugalseg.reports.compare_regions import compare_regions, run_names
    from frugalseg.reports.facts import kept_history
    from frugalseg.reports.region_files import answer_regions

    runs = [load_discover_run(folder) for folder in folders]
    same_data([(run.folder, run.config.data) for run in runs])
    results = []
    for run in runs:
        where = split or run.config.split
        path = result_path(run.folder, data_name(run.config.data, None), where)
        if not path.exists():
            say(f"Evaluating {run.folder} on {where}")
            images = _open(_other(run, None, where, run.config.masks))
            write_cluster_result(answer_regions(run, images, where, _bar), path)
        results.append(read_cluster_result(path, TASK))
    where = split or runs[0].config.split
    regions = compare_regions(runs, _open(_other(runs[0], None, where, None)), where, shown, _bar)
    histories = {
        name: kept_history(run.folder, run.state)
        for name, run in zip(run_names(runs), runs, strict=True)
    }
    write_cluster_comparison(results, {}, out, histories, regions)
    _print(results)
    say(f"Written: {out}")


def suggest(folder: Path, number: int, out: Path | None) -> None:
    """Print the images whose masks would name most regions, and write them as a table."""
    import csv
    import io

    from frugalseg.evaluation.suggest_regions import suggest_regions
    from frugalseg.files import write_whole
    from frugalseg.reports.region_files import finer_counts

    run = load_discover_run(folder)
    images = _open(_other(run, None, run.config.split, None))
    names = [images.images.names[i] for i in images.indices(run.config.split)]
    if not 1 <= number <= len(names):
        raise FrugalsegError(
            f"number={number} is out of range: {run.config.data} has {len(names)} images."
        )
    _, shares, doubt = finer_counts(run, images, run.config.split, _bar)
    out = folder / "to_label.csv" if out is None else out
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "why"])
    for index, why in suggest_regions(shares, doubt, number):
        writer.writerow([names[index], why])
        print(f"{names[index]}\t{why}")
    write_whole(text.getvalue().encode(), out)
    say(f"Make masks of these, then: frugalseg predict {folder} IMAGES --masks MASKS")


def _open(config: DiscoverConfig) -> Any:
    from frugalseg.training.discover_plan import open_discover_data

    return open_discover_data(config, lambda items: progress(items, "files"))


def _bar(items: Any) -> Any:
    return progress(items, "images")


def _other(run: DiscoverRun, data: Path | None, split: str, masks: str | None) -> DiscoverConfig:
    """The configuration of a run, for other images or masks."""
    config = dataclasses.replace(run.config, split=split, masks=masks)
    return config if data is None else dataclasses.replace(config, data=str(data))


def _named_by_few(run: DiscoverRun, images: Any, split: str, table: Path) -> dict[str, Any]:
    """A result: regions of the overclustering named by some images, scored on the others."""
    import numpy as np

    from frugalseg.data._tables import read_table
    from frugalseg.evaluation.cluster_results import cluster_result
    from frugalseg.evaluation.named_regions import semi_supervised_scores
    from frugalseg.reports.region_files import finer_counts, what_was_run

    names = [images.images.names[i] for i in images.indices(split)]
    wanted = [row["file"] for _, row in read_table(table, ("file",))]
    for name in wanted:
        if name not in names:
            raise FrugalsegError(f"{table}: there is no image {name!r} in {split}.")
    if not 0 < len(set(wanted)) < len(names):
        raise FrugalsegError(
            f"{table} names {len(set(wanted))} of {len(names)} images: some must be named, and "
            "some be left to score on."
        )
    counts, _, _ = finer_counts(run, images, split, _bar)
    labelled = [names.index(name) for name in wanted]
    if counts[labelled].any() and not np.delete(counts, labelled, 0).any():
        raise FrugalsegError(
            f"Only images of {table} have masks: there is none to score on. To use the names that "
            f"these masks give: frugalseg predict {run.folder} IMAGES --masks MASKS"
        )
    try:
        scores = semi_supervised_scores(counts, labelled, images.classes.names)
    except ValueError as error:
        raise FrugalsegError(f"{table}: {error}.") from error
    what = what_was_run(run, images, split)
    what |= {"clusters": run.plan.over_classes, "variant": f"named by {len(labelled)} images"}
    health, losses = run.state["health"], run.state.get("over_losses", [])
    return cluster_result(what, health, losses, scores, TASK)


def _print(results: Sequence[dict[str, Any]]) -> None:
    from frugalseg.evaluation.cluster_results import cluster_table
    from frugalseg.reports.cluster_words import health_in_words

    print(cluster_table(results), end="")
    for result in results:
        for remark in health_in_words(result["health"], result["losses"], "places"):
            say(f"{result['what']['run']}: {remark.text}")
