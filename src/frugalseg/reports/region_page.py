"""One self-contained page about a discovery: what the regions are, and how far to trust them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.region_images import RegionImages
from frugalseg.discover_runs import DiscoverRun
from frugalseg.files import write_whole
from frugalseg.reports._page import render
from frugalseg.reports.against import against_table
from frugalseg.reports.cluster_words import health_in_words
from frugalseg.reports.facts import kept_history, run_facts
from frugalseg.reports.learning_curves import count_chart, learning_charts
from frugalseg.reports.pictures import Picture, picture, to_data_uri
from frugalseg.reports.region_album import (
    PRESENT,
    Floats,
    Patch,
    RegionAlbum,
    Shown,
    choose_unsure,
    choose_varied,
    class_paint,
    show,
)
from frugalseg.reports.region_files import region_classes, see

VARIED, UNSURE = 8, 4  # images on the page


@dataclass(frozen=True)
class RegionReport:
    """What the page tells.

    Attributes:
        title: of the page.
        names: of the k regions.
        colours: (k, 3) of them.
        shares: (N, k) of each region in each image.
        health: as `frugalseg.information.clustering_health` gives it.
        confidence: of each region, the mean probability where it is the answer; None for none.
        patches: of each region, those that stand for it.
        varied: images that stand for all.
        unsure: images of the greatest doubt.
        losses: of the sub-heads of the main head, in nats.
        restarts: loss of each start.
        history: lines of metrics.jsonl.
        scores: as `frugalseg.evaluation.regions.region_scores` gives them; None without masks.
        class_names: of the masks.
        counts: for `--classes auto`: "curve", a list of (number, value), "chosen" and "value".
        problems: sentences, such as files that could not be read.
        facts: what was run, name to text.
    """

    title: str
    names: Sequence[str]
    colours: Picture
    shares: Floats
    health: Mapping[str, Any]
    confidence: Sequence[float | None]
    patches: Sequence[Sequence[Patch]]
    varied: Sequence[Shown] = ()
    unsure: Sequence[Shown] = ()
    losses: Sequence[float] = ()
    restarts: Sequence[float] = ()
    history: Sequence[Mapping[str, Any]] = ()
    scores: Mapping[str, Any] | None = None
    class_names: Sequence[str] = ()
    counts: Mapping[str, Any] | None = None
    problems: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def write_region_report(
    run: DiscoverRun,
    data: RegionImages,
    split: str,
    result: Mapping[str, Any],
    album: RegionAlbum,
    path: Path,
) -> None:
    """Write the page of a run; a dozen images are read and answered again for its pictures.

    Args:
        run: a finished run.
        data: the images of which it has learned.
        split: which of them.
        result: of :func:`frugalseg.reports.region_files.answer_regions`.
        album: which has taken all images of the split in their order.
        path: HTML file; it needs no other file and no network.

    Raises:
        FrugalsegError: an image cannot be read any more, or the file cannot be written.
    """
    names, scores, state = tuple(result["names"]), result["scores"], run.state
    colours = np.array(region_classes(names).colours, np.uint8)
    kinds = data.classes.names if data.classes and scores is not None else ()
    paint = class_paint(scores["mapping"] if scores else (), colours, len(kinds))
    indices = data.indices(split)

    def shown(numbers: Iterable[int]) -> list[Shown]:
        chosen = [int(indices[n]) for n in numbers]
        seen = ((i, see(run, data.paths[i], data.images.names[i])) for i in chosen)
        return [show(each, colours, data.truth(i) if kinds else None, paint) for i, each in seen]

    varied = choose_varied(album.shares, VARIED)
    report = RegionReport(
        title=f"{data.images.name}: {run.classes} kinds of region",
        names=names,
        colours=colours,
        shares=album.shares,
        health=result["health"],
        confidence=album.confidence,
        patches=album.patches(),
        varied=shown(varied),
        unsure=shown(choose_unsure(album.doubts, UNSURE, varied)),
        losses=result["losses"],
        restarts=[min(each["losses"]) for each in state.get("restarts", ())],
        history=kept_history(run.folder, state),
        scores=scores,
        class_names=kinds,
        counts=state.get("counts"),
        problems=data.images.problems,
        facts=_facts(run, result),
    )
    write_whole(region_page(report).encode(), path)


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
            "patches": [_patch(patch) for patch in report.patches[k]],
        }
        for k in np.argsort(-whole, kind="stable")
    ]
    counts = report.counts
    return render(
        "regions.html",
        title=report.title,
        report=report,
        remarks=health_in_words(report.health, report.losses, "places"),
        regions=regions,
        varied=[shown_pictures(each, report.names, report.colours) for each in report.varied],
        unsure=[_unsure(each, report) for each in report.unsure],
        charts=learning_charts(report.history),
        best_loss=-math.log(len(report.names)),
        count_svg=count_chart(counts, "kinds of region") if counts else None,
        classes=_class_rows(report),
        against=_against(report),
    )


def css_colour(colour: Picture) -> str:
    """A colour (3,) as CSS has it."""
    return "#{:02x}{:02x}{:02x}".format(*map(int, colour))


def shown_pictures(shown: Shown, names: Sequence[str], colours: Picture) -> dict[str, Any]:
    """Name, doubt, pictures and shares of an image, for a template."""
    pictures = [picture("image", shown.image), picture("regions", shown.regions)]
    if shown.truth is not None:
        pictures.append(picture("masks", shown.truth))
    order = [k for k in np.argsort(-shown.shares, kind="stable") if shown.shares[k] >= PRESENT]
    return {
        "name": shown.name,
        "doubt": shown.doubt,
        "pictures": pictures,
        "shares": [
            {"name": names[k], "share": float(shown.shares[k]), "colour": css_colour(colours[k])}
            for k in order
        ],
    }


def _unsure(shown: Shown, report: RegionReport) -> dict[str, Any]:
    found = shown_pictures(shown, report.names, report.colours)
    return {**found, "pictures": [*found["pictures"][:2], picture("doubt", shown.unsure)]}


def _patch(patch: Patch) -> dict[str, Any]:
    return {"name": patch.name, "sure": patch.sure, "uri": to_data_uri(patch.picture, "jpeg")}


def _class_rows(report: RegionReport) -> list[dict[str, Any]]:
    """Of each class: its region, its share of the labelled pixels, and IoU."""
    scores = report.scores
    if scores is None:
        return []
    region_of = {kind: region for region, kind in enumerate(scores["mapping"]) if kind >= 0}
    pixels = np.asarray(scores["confusion"]).sum(0)
    rows = []
    for kind, name in enumerate(report.class_names):
        region = region_of.get(kind)
        colour = None if region is None else css_colour(report.colours[region])
        share, iou = float(pixels[kind] / pixels.sum()), scores["iou"][name]
        rows.append({"name": name, "colour": colour, "share": share, "iou": iou})
    return rows


def _against(report: RegionReport) -> dict[str, Any] | None:
    """Shares of classes in each region that occurs under the masks, the largest region first."""
    if report.scores is None:
        return None
    table = np.asarray(report.scores["confusion"])
    sizes = table.sum(1)
    order = [k for k in np.argsort(-sizes, kind="stable") if sizes[k]]
    names = [report.names[k] for k in order]
    return against_table(table[order].tolist(), names, report.class_names, shares=True)


def _facts(run: DiscoverRun, result: Mapping[str, Any]) -> dict[str, str]:
    plan = run.plan
    trunk = plan.trunk + (", pretrained" if plan.pretrained else f", width {plan.width}")
    pieces = "pictures" if plan.frozen else "pieces"
    own = {
        "network": trunk + (", frozen" if plan.frozen else ""),
        "heads": f"{run.classes} and {plan.over_classes} regions, {plan.sub_heads} sub-heads",
        "training": f"{plan.steps} steps of {plan.batch} {pieces} of {plan.crop} pixels, "
        f"displacement {plan.displacement}",
    }
    return run_facts(result, own, run.state)
