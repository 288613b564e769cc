"""The health of a clustering or of a discovery in words: what is wrong, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class _Words:
    """How a task calls what it divides, and its options."""

    things: str
    thing: str
    groups: str
    option: str
    views: str


_WORDS = {
    "images": _Words("images", "image", "clusters", "--clusters", "--views"),
    "places": _Words("places", "place", "regions", "--classes", "--view-options"),
}


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
        things: what is divided: "images", or "places" of images into regions.

    Returns:
        Remarks, the gravest first; one sound remark where there is nothing to say.
    """
    words = _WORDS[things]
    doubt, agreement = float(health["doubt"]), health.get("agreement")
    said = _sizes(health, words) + _doubts(health, words) + _spread(losses)
    if said:
        return [Remark(False, text) for text in said]
    pairs = "" if agreement is None else f", two views of an image agree in {agreement:.0%}"
    return [
        Remark(
            True,
            f"Nothing collapsed: all {int(health['clusters'])} {words.groups} are used, answers "
            f"are clear (entropy {doubt:.0%} of its maximum){pairs}. Whether these are the "
            f"{words.groups} you have in mind, the pictures must tell: sharing much information "
            "only says that a division survives the transforms.",
        )
    ]


def _sizes(health: Mapping[str, Any], words: _Words) -> list[str]:
    """A sentence on empty groups or uneven ones."""
    clusters, used = int(health["clusters"]), int(health["used"])
    if _collapsed(health):
        return [
            f"All {words.things} went to {used} of {clusters} {words.groups}: the transforms are "
            f"too weak or the learning rate too high. Try a third of --rate, more --copies, or "
            f"other {words.views}."
        ]
    if used < clusters:
        return [
            f"{clusters - used} of {clusters} {words.groups} stayed empty: the images may hold "
            f"fewer kinds. Try {words.option} {used}, or {words.option} auto."
        ]
    if health["balance"] < 0.8:
        return [
            f"The {words.groups} are of very different size (the entropy of the mean answer is "
            f"{health['balance']:.0%} of its maximum): common in folders where some things are "
            "rare; else try a lower --rate."
        ]
    return _large(health, words)


def _collapsed(health: Mapping[str, Any]) -> bool:
    return int(health["used"]) <= max(1, round(0.3 * int(health["clusters"])))


def _doubts(health: Mapping[str, Any], words: _Words) -> list[str]:
    """Sentences on undecided answers, and on views that disagree."""
    doubt, agreement = float(health["doubt"]), health.get("agreement")
    where = "confused clusters" if words.things == "images" else "least sure images"
    said = []
    if doubt > 0.5 and not _collapsed(health):
        said.append(
            f"The answers hardly depend on the {words.thing} (their entropy is {doubt:.0%} of its "
            "maximum): the training is too short or --rate too low."
        )
    elif doubt > 0.2:
        said.append(
            f"Many {words.things} lie between {words.groups} (the entropy of single answers is "
            f"{doubt:.0%} of its maximum): train longer, or look at the {where} of the report."
        )
    if agreement is not None and agreement < 0.7:
        said.append(
            f"Two views of one {words.thing} get the same answer in {agreement:.0%} of the cases "
            "only: the transforms are too strong, or the training too short."
        )
    return said


def _large(health: Mapping[str, Any], words: _Words) -> list[str]:
    """A sentence where one group is about twice as large as an equal share."""
    largest, clusters = float(health.get("largest", 0)), int(health["clusters"])
    if clusters < 4 or largest * clusters < 1.9:
        return []
    one = words.groups.removesuffix("s")
    return [
        f"The largest {one} holds {largest:.0%} of the {words.things}, {largest * clusters:.1f} "
        "times an equal share: unless one kind is so common, it holds two. Look at it, and try "
        f"--restarts 3 or more {words.option}."
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
