"""The health of a clustering in words: what is wrong, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Remark:
    """A sentence on a clustering; `sound` where nothing need be done."""

    sound: bool
    text: str


def health_in_words(
    health: Mapping[str, Any], losses: Sequence[float] = (), things: str = "images"
) -> list[Remark]:
    """Say what the numbers of a clustering mean.

    Args:
        health: as `frugalseg.information.clustering_health` gives it.
        losses: of the sub-heads, or of restarts: the lowest was taken.
        things: what is divided, in the plural: images, or places of images.

    Returns:
        Remarks, the gravest first; one sound remark where there is nothing to say.
    """
    clusters, doubt = int(health["clusters"]), float(health["doubt"])
    agreement = health.get("agreement")
    said = _sizes(health) + _doubts(health) + _spread(losses)
    if said:
        return [Remark(False, text.replace("images", things)) for text in said]
    pairs = "" if agreement is None else f", two views of an image agree in {agreement:.0%}"
    return [
        Remark(
            True,
            f"Nothing collapsed: all {clusters} clusters are used, answers are clear (entropy "
            f"{doubt:.0%} of its maximum){pairs}. Whether these are the groups you have in mind, "
            "the pictures must tell: sharing much information only says that a group survives the "
            "transforms.",
        )
    ]


def _sizes(health: Mapping[str, Any]) -> list[str]:
    """A sentence on empty clusters or uneven ones."""
    clusters, used = int(health["clusters"]), int(health["used"])
    if _collapsed(health):
        return [
            f"All images went to {used} of {clusters} clusters: the transforms are too weak or the "
            "learning rate too high. Try a third of --rate, more --copies, or other --views."
        ]
    if used < clusters:
        return [
            f"{clusters - used} of {clusters} clusters stayed empty: the images may hold fewer "
            f"groups. Try --clusters {used}, or --clusters auto."
        ]
    if health["balance"] < 0.8:
        return [
            "The clusters are of very different size (the entropy of the mean answer is "
            f"{health['balance']:.0%} of its maximum): common in folders where some things are "
            "rare; else try a lower --rate."
        ]
    return _large(health)


def _collapsed(health: Mapping[str, Any]) -> bool:
    return int(health["used"]) <= max(1, round(0.3 * int(health["clusters"])))


def _doubts(health: Mapping[str, Any]) -> list[str]:
    """Sentences on undecided answers, and on views that disagree."""
    doubt, agreement = float(health["doubt"]), health.get("agreement")
    said = []
    if doubt > 0.5 and not _collapsed(health):
        said.append(
            f"The answers hardly depend on the image (their entropy is {doubt:.0%} of its "
            "maximum): the training is too short or --rate too low."
        )
    elif doubt > 0.2:
        said.append(
            f"Many images lie between clusters (the entropy of single answers is {doubt:.0%} of "
            "its maximum): train longer, or look at the confused clusters below."
        )
    if agreement is not None and agreement < 0.7:
        said.append(
            f"Two views of one image get the same cluster in {agreement:.0%} of the cases only: "
            "the transforms are too strong, or the training too short."
        )
    return said


def _large(health: Mapping[str, Any]) -> list[str]:
    """A sentence where one cluster is about twice as large as an equal share."""
    largest, clusters = float(health.get("largest", 0)), int(health["clusters"])
    if clusters < 4 or largest * clusters < 1.9:
        return []
    return [
        f"The largest cluster holds {largest:.0%} of the images, {largest * clusters:.1f} times an "
        "equal share: unless one group is so common, it holds two. Look at it, and try "
        "--restarts 3 or more --clusters."
    ]


def _spread(losses: Sequence[float]) -> list[str]:
    """A sentence where sub-heads or restarts ended far apart."""
    if len(losses) < 2 or max(losses) - min(losses) < 0.25:
        return []
    return [
        f"The sub-heads found different groupings (losses from {min(losses):.2f} to "
        f"{max(losses):.2f} nats; the lowest was taken): a lucky start may find better ones. "
        "Try --restarts 3."
    ]
