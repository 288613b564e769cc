"""One self-contained page about a clustering: what is in each cluster, and how far to trust it."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.files import write_whole
from frugalseg.reports._page import render
from frugalseg.reports.against import against_table
from frugalseg.reports.cluster_choice import choose_images, confused_clusters
from frugalseg.reports.cluster_map import draw_map, place_thumbnails
from frugalseg.reports.cluster_words import Remark, health_in_words
from frugalseg.reports.learning_curves import count_chart, learning_charts
from frugalseg.reports.pictures import to_data_uri

# Bytes of all thumbnails in a page; beyond it they are made smaller.
PICTURE_BUDGET = 9_000_000
MAP_CELL = 44
_MOST_PAIRS = 8

# (side, indices) to (n, side, side, 1 or 3) uint8, as `ImageSet.read_all`
ReadImages = Callable[[int, NDArray[np.int64]], NDArray[np.uint8]]


@dataclass(frozen=True)
class ClusterReport:
    """What the page tells.

    Attributes:
        title: of the page.
        names: of the images.
        probabilities: (N, k) answers of the chosen sub-head.
        read: reads images as squares.
        health: as `frugalseg.information.clustering_health` gives it.
        side: height and width of the images as they are, at least; thumbnails are no larger.
        over: (N, K) answers of the overclustering head.
        places: (N, 2) of the images on the map.
        cluster_names: what the clusters are called; by default their numbers.
        losses: of the sub-heads of the main head, in nats.
        restarts: loss of each start.
        history: lines of metrics.jsonl: "training", "step", "loss" and further numbers.
        labels: (N,) class indices, -1 where unknown.
        class_names: what they mean.
        scores: as `frugalseg.information.agreement_scores` gives them.
        counts: for `--clusters auto`: "curve", a list of (clusters, value), "chosen", "says".
        duplicates: groups of image indices: exactly equal files, and nearly equal pictures.
        problems: sentences, such as files that could not be read.
        facts: what was run, name to text.
    """

    title: str
    names: Sequence[str]
    probabilities: NDArray[np.floating]
    read: ReadImages
    health: Mapping[str, Any]
    side: int = 96
    over: NDArray[np.floating] | None = None
    places: NDArray[np.floating] | None = None
    cluster_names: Sequence[str] = ()
    losses: Sequence[float] = ()
    restarts: Sequence[float] = ()
    history: Sequence[Mapping[str, Any]] = ()
    labels: NDArray[np.int64] | None = None
    class_names: Sequence[str] = ()
    scores: Mapping[str, Any] | None = None
    counts: Mapping[str, Any] | None = None
    duplicates: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]] = ((), ())
    problems: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def clusters(self) -> int:
        """k."""
        return int(self.probabilities.shape[1])

    def called(self, cluster: int) -> str:
        """The name of a cluster."""
        return self.cluster_names[cluster] if self.cluster_names else f"cluster {cluster}"


def write_cluster_page(report: ClusterReport, path: Path | str) -> None:
    """Write the page.

    Args:
        report: what it tells.
        path: HTML file; it needs no other file and no network.

    Raises:
        FrugalsegError: an image cannot be read any more, or the file cannot be written.
    """
    write_whole(cluster_page(report).encode(), path)


def cluster_page(report: ClusterReport) -> str:
    """The page as HTML."""
    thumbnails = _Thumbnails(report)
    gallery = _gallery(report, thumbnails)
    return render(
        "cluster.html",
        title=report.title,
        report=report,
        remarks=_remarks(report),
        gallery=gallery,
        pixelated=thumbnails.pixelated,
        confused=_confused(report, thumbnails),
        charts=learning_charts(report.history),
        best_loss=-math.log(report.clusters),
        count_svg=count_chart(report.counts) if report.counts else None,
        map=_map(report),
        against=_against_labels(report),
        duplicates=_duplicates(report, thumbnails),
    )


def _remarks(report: ClusterReport) -> list[Remark]:
    return health_in_words(report.health, report.losses)


def cluster_colours(count: int) -> NDArray[np.uint8]:
    """(count, 3) colours: hues evenly round the circle, each second one darker."""
    colours = [
        colorsys.hsv_to_rgb(i / count, 0.8 if i % 2 else 0.65, 0.6 if i % 2 else 0.92)
        for i in range(count)
    ]
    return (np.array(colours) * 255).round().astype(np.uint8)


def _css(colour: NDArray[np.uint8]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour.tolist())


class _Thumbnails:
    """Images of the page by index, as pictures in the page; sides chosen for the budget."""

    def __init__(self, report: ClusterReport):
        self.report = report
        chosen = choose_images(report.probabilities, report.over)
        count = sum(len(c.typical) + len(c.unsure) + len(c.odd) for c in chosen) + 1
        # a JPEG file of a photograph takes about 0.6 bytes a pixel as text
        fitting = int((PICTURE_BUDGET / count / 0.6) ** 0.5)
        self.side = max(16, min(112, report.side, fitting))
        self.pixelated = self.side < 48
        self.chosen = chosen

    def __call__(self, indices: Sequence[int] | NDArray[np.int64]) -> list[dict[str, Any]]:
        """Uri, name and answer of images."""
        indices = np.asarray(indices, np.int64)
        if not len(indices):
            return []
        pixels = self.report.read(self.side, indices)
        return [self._one(int(i), p) for i, p in zip(indices, pixels, strict=True)]

    def _one(self, i: int, pixels: NDArray[np.uint8]) -> dict[str, Any]:
        report = self.report
        answer = report.probabilities[i]
        order = np.argsort(-answer, kind="stable")
        says = [f"{report.called(int(c))} {answer[c]:.0%}" for c in order[:2] if answer[c] >= 0.005]
        label = report.labels[i] if report.labels is not None else -1
        flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return {
            "uri": to_data_uri(flat, "png" if self.pixelated else "jpeg"),
            "name": report.names[i],
            "says": ", ".join(says),
            "sure": f"{answer[order[0]]:.0%}",
            "label": report.class_names[label] if label >= 0 else "",
        }


def _gallery(report: ClusterReport, thumbnails: _Thumbnails) -> list[dict[str, Any]]:
    colours = cluster_colours(report.clusters)
    sure = report.probabilities.max(1)
    largest = max(len(chosen.members) for chosen in thumbnails.chosen) or 1
    shown = []
    for chosen in thumbnails.chosen:
        count = len(chosen.members)
        rows = (
            ("most typical", chosen.typical),
            ("least sure", chosen.unsure),
            ("odd ones", chosen.odd),
        )
        shown.append(
            {
                "name": report.called(chosen.cluster),
                "number": chosen.cluster,
                "colour": _css(colours[chosen.cluster]),
                "count": count,
                "share": count / max(len(report.names), 1),
                "bar": count / largest,
                "sure": float(sure[chosen.members].mean()) if count else None,
                "rows": [(name, thumbnails(images)) for name, images in rows if len(images)],
            }
        )
    return sorted(shown, key=lambda each: -each["count"])


def _confused(report: ClusterReport, thumbnails: _Thumbnails) -> list[dict[str, Any]]:
    return [
        {
            "first": report.called(pair.first),
            "second": report.called(pair.second),
            "share": pair.share,
            "images": thumbnails(pair.between),
        }
        for pair in confused_clusters(report.probabilities)[:_MOST_PAIRS]
    ]


def _map(report: ClusterReport) -> dict[str, Any] | None:
    """The map as a picture, and where on it the clusters' names stand, in per cent."""
    if report.places is None or len(report.names) < 3:
        return None
    chosen, pixels = place_thumbnails(report.places, MAP_CELL)
    answers = report.probabilities.argmax(1)
    colours = cluster_colours(report.clusters)
    pictures = report.read(MAP_CELL - 6, chosen)
    drawn = draw_map(pixels, chosen, pictures, answers, colours, MAP_CELL)
    height, width = drawn.shape[:2]
    middles = [(c, np.median(pixels[answers == c], 0)) for c in np.unique(answers)]
    return {
        "uri": to_data_uri(drawn, "jpeg"),
        "width": width,
        "height": height,
        "shown": len(chosen),
        "names": [
            {
                "text": report.called(int(c)),
                "left": 100 * x / width,
                "top": 100 * y / height,
                "colour": _css(colours[c]),
            }
            for c, (x, y) in middles
        ],
    }


def _against_labels(report: ClusterReport) -> dict[str, Any] | None:
    """Images of each class in each cluster, shaded by their share of the cluster."""
    if report.scores is None or "confusion" not in report.scores:
        return None
    names = [report.called(i) for i in range(report.clusters)]
    return against_table(report.scores["confusion"], names, report.class_names, shares=False)


def _duplicates(report: ClusterReport, thumbnails: _Thumbnails) -> list[dict[str, Any]]:
    """Groups to show, at most six of each kind."""
    exact, near = report.duplicates
    kinds = (("the same file", exact), ("nearly the same picture", near))
    return [
        {
            "kind": kind,
            "count": len(groups),
            "images": sum(len(group) for group in groups),
            "groups": [thumbnails(list(group)[:8]) for group in groups[:6]],
        }
        for kind, groups in kinds
        if groups
    ]
