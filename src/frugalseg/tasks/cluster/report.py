"""One self-contained page about a clustering: its clusters, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.class_lists.palette import region_colours
from frugalseg.reports.images import Picture, css_colour, picture, to_data_uri
from frugalseg.reports.tables import confusion_table
from frugalseg.tasks.cluster.evaluate import Answers
from frugalseg.tasks.cluster.gallery import (
    THUMBNAIL,
    choose_images,
    confused_clusters,
    draw_map,
    place_thumbnails,
)
from frugalseg.tasks.iic.report import GroupReport, render_report

PICTURE_BUDGET = 9_000_000  # bytes of all thumbnails of a page, which are made small enough

# (side, indices) to (n, side, side, 1 or 3) uint8, as `ImageSet.read_all`
ReadImages = Callable[[int, NDArray[np.int64]], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class ClusterReport(GroupReport):
    """The content of the page.

    Attributes:
        answers: the clusters of the images.
        read: reads images as squares.
        side: least height and width of the images; thumbnails are no larger.
        scores: of `frugalseg.tasks.cluster.evaluate.scores`; None without labels.
        duplicates: groups of image indices whose files are the same.
    """

    answers: Answers
    read: ReadImages
    side: int = 96
    duplicates: Sequence[Sequence[int]] = ()

    @property
    def colours(self) -> Picture:
        """(k, 3) of the clusters."""
        return np.array(region_colours(self.answers.clusters), np.uint8)


def cluster_page(report: ClusterReport) -> str:
    """The page as HTML; it needs no other file and no network.

    Raises:
        FrugalsegError: an image cannot be read any more.
    """
    thumbnails, names = _Thumbnails(report), report.answers.cluster_names
    return render_report(
        "cluster.html",
        report,
        "images",
        "clusters",
        report.answers.clusters,
        gallery=_gallery(report, thumbnails),
        pixelated=thumbnails.pixelated,
        confused=[
            {
                "first": names[pair.first],
                "second": names[pair.second],
                "share": pair.share,
                "images": thumbnails(pair.between),
            }
            for pair in confused_clusters(report.answers.probabilities)[:8]
        ],
        map=_map(report),
        confusion=report.scores
        and confusion_table(
            report.scores["confusion"], names, report.answers.class_names, shares=False
        ),
        duplicates=[thumbnails(list(group)[:8]) for group in report.duplicates[:6]],
        duplicate_images=sum(len(group) for group in report.duplicates),
    )


class _Thumbnails:
    """Pictures of images in the page, by index, as large as the budget allows."""

    def __init__(self, report: ClusterReport):
        self.report = report
        answers = report.answers
        self.chosen = choose_images(answers.probabilities, answers.overcluster_probabilities)
        count = sum(len(c.typical) + len(c.unsure) + len(c.odd) for c in self.chosen) + 1
        # a JPEG file of a photograph takes about 0.6 bytes a pixel as text
        fitting = int((PICTURE_BUDGET / count / 0.6) ** 0.5)
        self.side = max(16, min(112, report.side, fitting))
        self.pixelated = self.side < 48

    def __call__(self, indices: Sequence[int] | NDArray[np.int64]) -> list[dict[str, Any]]:
        """Picture, name, answer and label of images."""
        indices = np.asarray(indices, np.int64)
        if not len(indices):
            return []
        pixels = self.report.read(self.side, indices)
        return [self._one(int(i), p) for i, p in zip(indices, pixels, strict=True)]

    def _one(self, i: int, pixels: NDArray[np.uint8]) -> dict[str, Any]:
        answers = self.report.answers
        answer = answers.probabilities[i]
        order = np.argsort(-answer, kind="stable")
        says = [
            f"{answers.cluster_names[c]} {answer[c]:.0%}" for c in order[:2] if answer[c] >= 0.005
        ]
        label = answers.labels[i] if answers.labels is not None else -1
        flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return {
            "uri": to_data_uri(flat, "png" if self.pixelated else "jpeg"),
            "name": answers.names[i],
            "says": ", ".join(says),
            "sure": f"{answer[order[0]]:.0%}",
            "label": answers.class_names[label] if label >= 0 else "",
        }


def _gallery(report: ClusterReport, thumbnails: _Thumbnails) -> list[dict[str, Any]]:
    """The clusters with their images, the largest first."""
    answers = report.answers
    sure = answers.probabilities.max(1)
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
                "name": answers.cluster_names[chosen.cluster],
                "colour": css_colour(report.colours[chosen.cluster]),
                "count": count,
                "share": count / len(answers.names),
                "bar": count / largest,
                "sure": float(sure[chosen.members].mean()) if count else None,
                "rows": [(name, thumbnails(images)) for name, images in rows if len(images)],
            }
        )
    return sorted(shown, key=lambda each: -each["count"])


def _map(report: ClusterReport) -> dict[str, Any] | None:
    """The map as a picture, and the places of the clusters' names on it in per cent."""
    answers, clusters, colours = report.answers, report.answers.assigned, report.colours
    if len(answers.names) < 3:
        return None
    chosen, pixels = place_thumbnails(answers.places)
    images = report.read(THUMBNAIL, chosen)
    drawn = draw_map(pixels, chosen, images, clusters, colours)
    size = np.array(drawn.shape[1::-1])
    middles = [
        (int(c), 100 * np.median(pixels[clusters == c], 0) / size) for c in np.unique(clusters)
    ]
    return {
        **picture("Map of the images by their answers", drawn),
        "shown": len(chosen),
        "names": [
            {
                "text": answers.cluster_names[cluster],
                "left": left,
                "top": top,
                "colour": css_colour(colours[cluster]),
            }
            for cluster, (left, top) in middles
        ],
    }
