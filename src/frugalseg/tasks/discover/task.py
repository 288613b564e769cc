"""The task of dividing images into kinds of region without labels."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from frugalseg.console import log, track
from frugalseg.data.headers import say_of_images
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.layouts.listing import normal_name
from frugalseg.engine.results import Result, write_result
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table
from frugalseg.reports.tables import iou_lines
from frugalseg.tasks.base import Files, Options, Task
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.data import open_data, resolve
from frugalseg.tasks.discover.evaluate import (
    RESULT,
    answer_regions,
    finer_counts,
    name_finer_regions,
    semi_supervised_scores,
)
from frugalseg.tasks.discover.export import RegionWriter, region_classes
from frugalseg.tasks.discover.gallery import ExampleCollector
from frugalseg.tasks.discover.predict import DiscoverRun, discover_labels, finer_labels, read_pixels
from frugalseg.tasks.discover.report import compare_regions, write_region_report
from frugalseg.tasks.discover.suggest import suggest_regions
from frugalseg.tasks.iic.diagnostics_text import diagnostics_lines
from frugalseg.tasks.iic.report import kept_histories, write_comparison
from frugalseg.tasks.names import default_run_folder


def export(run: DiscoverRun, data: ImageMaskFolder) -> Result:
    """Write labels, overlays, regions.csv, report.html and the result of a run's own images."""
    folder, split = run.dir.path, run.config.split
    names = [data.names[i] for i in data.indices(split)]
    plain = region_classes([f"region {i}" for i in range(run.classes)])
    writer, examples = RegionWriter(folder, names, plain), ExampleCollector(run.classes, len(names))
    result = answer_regions(run, data, split, writer, examples.add)
    if result.scores is not None:
        run.dir.write_state({**run.state, "region_names": result.parts["names"]})
    write_result(result, run.dir.result_path(f"{data.name}-{split}"))
    write_region_report(run, data, split, result, examples, folder / "report.html")
    log.info(f"The regions: {folder / 'report.html'} to look at, {folder / 'labels'} to use.")
    return result


def predict(run: DiscoverRun, files: Files, out: Path, options: Options) -> Sequence[str]:
    """Divide new images into regions, or into classes, given masks of images of the training."""
    classes, data, mapping = region_classes(run.region_names), None, None
    if options.get("masks") is not None:
        data = open_data(dataclasses.replace(run.config, masks=str(options["masks"])))
        classes = data.class_list or classes
    writer = RegionWriter(out, [name for _, name in files], classes)
    masks = [sample.mask for sample in data.samples if sample.mask] if data else []
    writer.refuse_overwriting([*(path for path, _ in files), *masks], run.dir.path)
    if data is not None:
        mapping = name_finer_regions(run, data)
    say_of_images([path for path, _ in files])
    problems = []
    for path, name in track(files, "images"):
        try:
            pixels = read_pixels(run, path)
        except FrugalsegError as error:
            problems.append(str(error))
            continue
        if mapping is None:
            writer.write(name, pixels, discover_labels(run, pixels))
        else:
            writer.write(name, pixels, mapping[finer_labels(run, pixels)])
    if writer.shares:
        writer.finish()
    return problems


def open_scored(run: DiscoverRun, data: str | None, options: Options) -> ImageMaskFolder:
    """The images that a run is scored on, its own or others, with their masks or others."""
    masks = options.get("masks") or run.config.masks
    if options:
        masks = masks or "folder"
    data = run.config.data if data is None else data
    return open_data(dataclasses.replace(run.config, data=data, masks=masks, split="all"))


def evaluate(run: DiscoverRun, data: ImageMaskFolder, split: str, options: Options) -> Result:
    """Score a run against masks, if there are any; or name its finer regions by some of them.

    Raises:
        FrugalsegError: an option names masks in which no pixel has a class.
    """
    if options.get("labelled") is not None:
        return _named_by_few(run, data, split, Path(options["labelled"]))
    result = answer_regions(run, data, split)
    if result.scores is None and options:
        raise FrugalsegError(f"{data.root}: no pixel of {split} has a class in its mask.")
    return result


def details(result: Result) -> str:
    """IoU by class, and the diagnostics in words."""
    return iou_lines(result.scores or {"iou": {}}) + diagnostics_lines(result, "places")


def compare(
    runs: Sequence[DiscoverRun],
    results: Sequence[Result],
    split: str | None,
    out: Path,
    images: int,
) -> None:
    """Write a page that compares discoveries of the same images."""
    data = open_data(dataclasses.replace(runs[0].config, masks=None, split="all"))
    histories = kept_histories(runs)
    names, split = list(histories), split or runs[0].config.split
    agreement, regions = compare_regions(runs, names, data, split, images)
    write_comparison(results, agreement, names, out, histories, regions)


def suggest_images(run: DiscoverRun, number: int) -> list[tuple[str, str]]:
    """Images whose masks would name the most regions, and why; all if there are fewer."""
    split = run.config.split
    data = open_data(dataclasses.replace(run.config, masks=None))
    names = [data.names[i] for i in data.indices(split)]
    _, shares, entropy = finer_counts(run, data, split)
    return [(names[index], why) for index, why in suggest_regions(shares, entropy, number)]


def _named_by_few(run: DiscoverRun, data: ImageMaskFolder, split: str, table: Path) -> Result:
    """The result of finer regions that are named by some images and scored on the others."""
    names = [normal_name(data.names[i]) for i in data.indices(split)]
    wanted = [row["file"] for _, row in read_table(table, ("file",))]
    for name in wanted:
        if name not in names:
            raise FrugalsegError(f"{table}: there is no image {name!r} in {split}.")
    if not 0 < len(set(wanted)) < len(names):
        raise FrugalsegError(
            f"{table} names {len(set(wanted))} of {len(names)} images: some must be named, and "
            "some be left to score on."
        )
    counts, _, _ = finer_counts(run, data, split)
    labelled = [names.index(name) for name in wanted]
    if counts[labelled].any() and not np.delete(counts, labelled, 0).any():
        raise FrugalsegError(
            f"Only images of {table} have masks: there is none to score on. To use the names that "
            f"these masks give: frugalseg predict {run.dir} IMAGES --masks MASKS"
        )
    assert data.class_list is not None
    try:
        scores = semi_supervised_scores(counts, labelled, data.class_list.names)
    except ValueError as error:
        raise FrugalsegError(f"{table}: {error}.") from error
    losses = run.state.get("overcluster_losses", [])
    diagnostics = run.state["diagnostics"]
    result = run.result(RESULT, data, split, scores, diagnostics, losses)
    other = {"clusters": run.config.finer, "variant": f"named by {len(labelled)} images"}
    return dataclasses.replace(result, what={**result.what, **other})


TASK = Task(
    config=DiscoverConfig,
    result=RESULT,
    default_folder=lambda config: default_run_folder(config, "regions", config.classes),
    open_data=open_data,
    resolve=resolve,
    train="frugalseg.tasks.discover.train:train",
    load=DiscoverRun.load,
    export=export,
    predict=predict,
    open_scored=open_scored,
    default_split=lambda run, other: run.config.split if other is None else "all",
    evaluate=evaluate,
    network_option="backbone",
    details=details,
    predict_options=frozenset({"masks"}),
    evaluate_options=frozenset({"masks", "labelled"}),
    compare=compare,
    suggest=suggest_images,
    suggest_columns=("file", "why"),
    after_suggest="Make masks of these, then: frugalseg finetune {run} --masks MASKS",
)
