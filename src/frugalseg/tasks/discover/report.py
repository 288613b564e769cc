"""One self-contained page about a discovery, and the regions of several runs side by side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import track
from frugalseg.data.class_lists.palette import region_colours
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.results import Result
from frugalseg.files import write_text
from frugalseg.iic import one_to_one
from frugalseg.metrics.confusion import Counts, adjusted_rand, confusion
from frugalseg.reports.images import Picture, css_colour, overlay, picture, shrink, to_data_uri
from frugalseg.reports.tables import confusion_table
from frugalseg.tasks.discover.config import method_in_words
from frugalseg.tasks.discover.export import region_classes
from frugalseg.tasks.discover.gallery import (
    PRESENT,
    ExampleCollector,
    Floats,
    Patch,
    Shown,
    choose_uncertain,
    choose_varied,
    class_paint,
    show,
)
from frugalseg.tasks.discover.predict import DiscoverRun, predict_image
from frugalseg.tasks.iic.report import (
    Agreement,
    GroupReport,
    render_report,
    report_fields,
    symmetric,
)

VARIED, UNCERTAIN = 8, 4  # images on the page
COMPARED = 24  # images on which the agreement of runs is measured, spread over the set
COMPARED_SIDE = 360  # pixels of the longer side of images on the page that compares runs


@dataclass(frozen=True, kw_only=True)
class RegionReport(GroupReport):
    """The content of the page.

    Attributes:
        names: of the k regions.
        colours: (k, 3) of them.
        shares: (N, k) of each region in each image.
        confidence: for each region the mean probability of the places given to it; None if there
            are none.
        patches: those that stand for each region.
        varied: images that stand for all.
        uncertain: images of the greatest entropy.
        scores: of `frugalseg.tasks.discover.evaluate.region_scores`; None without masks.
        class_names: of the masks.
        method: how the regions were found, and why so.
    """

    names: Sequence[str]
    colours: Picture
    shares: Floats
    confidence: Sequence[float | None]
    patches: Sequence[Sequence[Patch]]
    varied: Sequence[Shown] = ()
    uncertain: Sequence[Shown] = ()
    class_names: Sequence[str] = ()
    method: str = ""


def write_region_report(
    run: DiscoverRun,
    data: ImageMaskFolder,
    split: str,
    result: Result,
    examples: ExampleCollector,
    path: Path,
) -> None:
    """Write the page of a run; a dozen images are read and divided again for its pictures.

    Args:
        run: a finished run.
        data: the images that it has learned from.
        split: which of them.
        result: of :func:`frugalseg.tasks.discover.evaluate.answer_regions`.
        examples: has collected all images of the split in their order.
        path: HTML file; it needs no other file and no network.

    Raises:
        FrugalsegError: an image cannot be read any more, or the file cannot be written.
    """
    names, scores, config = tuple(result.parts["names"]), result.scores, run.config
    colours = np.array(region_classes(names).colours, np.uint8)
    class_names = data.class_list.names if data.class_list and scores is not None else ()
    paint = class_paint(scores["mapping"] if scores else (), colours, len(class_names))
    indices = data.indices(split)

    def shown(numbers: Iterable[int], uncertain: bool = False) -> list[Shown]:
        pictures = []
        for i in (int(indices[number]) for number in numbers):
            prediction = predict_image(run, data.samples[i].image, data.names[i])
            truth = data.truth(i) if class_names else None
            pictures.append(show(prediction, colours, truth, paint, uncertain))
        return pictures

    varied = choose_varied(examples.shares, VARIED)
    pieces = "images" if config.frozen else "pieces"
    training = (
        "none"
        if config.merged
        else (
            f"{config.steps} steps of {config.batch_size} {pieces} of {config.crop} pixels, "
            f"displacement {config.max_displacement}"
        )
    )
    report = RegionReport(
        title=f"{data.name}: {run.classes} kinds of region",
        names=names,
        colours=colours,
        shares=examples.shares,
        confidence=examples.confidence,
        patches=examples.patches(),
        varied=shown(varied),
        uncertain=shown(choose_uncertain(examples.entropies, UNCERTAIN, varied), True),
        class_names=class_names,
        method=f"Method {config.method}: {method_in_words(config)}.",
        problems=data.problems,
        **report_fields(run, result, training),
    )
    write_text(region_page(report), path)


def region_page(report: RegionReport) -> str:
    """The page as HTML."""
    whole = report.shares.mean(0)
    present = (report.shares >= PRESENT).sum(0)
    regions = [
        {
            "name": report.names[k],
            "colour": css_colour(report.colours[k]),
            "share": float(whole[k]),
            "bar": float(whole[k] / whole.max()),
            "images": int(present[k]),
            "sure": report.confidence[k],
            "patches": [
                {"name": patch.name, "sure": patch.sure, "uri": to_data_uri(patch.picture, "jpeg")}
                for patch in report.patches[k]
            ],
        }
        for k in np.argsort(-whole, kind="stable")
    ]
    return render_report(
        "regions.html",
        report,
        "places",
        "kinds of region",
        len(report.names),
        regions=regions,
        varied=[_example(each, report) for each in report.varied],
        uncertain=[_example(each, report) for each in report.uncertain],
        **_with_masks(report),
    )


def _example(shown: Shown, report: RegionReport) -> dict[str, Any]:
    """Name, entropy, pictures and shares of an image, for the template."""
    order = [k for k in np.argsort(-shown.shares, kind="stable") if shown.shares[k] >= PRESENT]
    return {
        "name": shown.name,
        "entropy": shown.entropy,
        "pictures": [picture(caption, array) for caption, array in shown.pictures.items()],
        "shares": [
            {
                "name": report.names[k],
                "share": float(shown.shares[k]),
                "colour": css_colour(report.colours[k]),
            }
            for k in order
        ],
    }


def _with_masks(report: RegionReport) -> dict[str, Any]:
    """The region, share of labelled pixels and IoU of each class, and the classes in each region.

    Regions come by size, without those that do not occur under the masks.
    """
    scores = report.scores
    if not scores:
        return {"classes": [], "confusion": None}
    counts = np.asarray(scores["confusion"])
    region_of = {index: region for region, index in enumerate(scores["mapping"]) if index >= 0}
    classes = [
        {
            "name": name,
            "colour": css_colour(report.colours[region_of[k]]) if k in region_of else None,
            "share": float(counts[:, k].sum() / counts.sum()),
            "iou": scores["iou"][name],
            "false_pixels": scores.get("false_pixels", {}).get(name),
        }
        for k, name in enumerate(report.class_names)
    ]
    order = [k for k in np.argsort(-counts.sum(1), kind="stable") if counts[k].any()]
    names = [report.names[k] for k in order]
    table = confusion_table(counts[order], names, report.class_names, shares=True)
    return {"classes": classes, "confusion": table}


def compare_regions(
    runs: Sequence[DiscoverRun], names: Sequence[str], data: ImageMaskFolder, split: str, shown: int
) -> tuple[Agreement, dict[str, Any]]:
    """Divide images by several runs, and compare their regions.

    Args:
        runs: finished runs.
        names: of the runs.
        data: the images.
        split: which of them; images are chosen evenly spread over it.
        shown: number of images to show; agreement is measured on at least COMPARED images.

    Returns:
        The adjusted Rand indices of pixels, and `regions` of
        :func:`frugalseg.tasks.iic.report.write_comparison`. A region that overlaps most with one of
        the first run has its colour.

    Raises:
        FrugalsegError: there is no such split, or an image cannot be read.
    """
    chosen = _spread(data.indices(split), max(COMPARED, shown))
    pictured = set(_spread(chosen, max(shown, 0)).tolist())
    pairs = list(itertools.combinations(range(len(runs)), 2))
    counts = {(a, b): np.zeros((runs[a].classes, runs[b].classes), np.int64) for a, b in pairs}
    kept: list[tuple[str, Picture, list[NDArray[np.uint8]]]] = []
    for i in track(chosen, "images"):
        predictions = [predict_image(run, data.samples[i].image, data.names[i]) for run in runs]
        labels = [prediction.labels for prediction in predictions]
        for a, b in pairs:
            counts[a, b] += confusion(labels[a], labels[b], *counts[a, b].shape)
        if int(i) in pictured:
            image = shrink(np.ascontiguousarray(predictions[0].pixels[..., :3]), COMPARED_SIDE)
            small = [shrink(regions, COMPARED_SIDE, nearest=True) for regions in labels]
            kept.append((predictions[0].name, image, small))
    colours = matched_colours(runs[0].classes, [counts[0, b] for b in range(1, len(runs))])
    examples = []
    for name, image, labels in kept:
        pictures = [picture("image", image)]
        for run, regions, paint in zip(names, labels, colours, strict=True):
            pictures.append(picture(run, overlay(image, regions, paint)))
        examples.append({"name": name, "pictures": pictures})
    agreement = {pair: adjusted_rand(table) for pair, table in counts.items()}
    return symmetric(len(runs), agreement), {"images": len(chosen), "examples": examples}


def matched_colours(classes: int, counts: Sequence[Counts]) -> list[Picture]:
    """Colours of the regions of several runs, so that regions that overlap look alike.

    Args:
        classes: number of regions of the first run.
        counts: (classes, k) pixels by regions of the first run and of each other one.

    Returns:
        (k, 3) of each run. Regions are matched one to one with those of the first run, so that most
        pixels have one colour; regions left over have colours that no region of the first run has.
    """
    largest = max([classes, *(table.shape[1] for table in counts)])
    colours = np.array(region_colours(classes + largest), np.uint8)
    matched = [colours[:classes]]
    for table in counts:
        match = one_to_one(table.T).copy()
        left = match < 0
        match[left] = classes + np.arange(left.sum())
        matched.append(colours[match])
    return matched


def _spread(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the numbers, evenly spread."""
    places = np.linspace(0, len(numbers) - 1, min(count, len(numbers)))
    chosen: NDArray[np.int64] = numbers[places.round().astype(int)]
    return chosen
