"""The diagnostics of a clustering or discovery in words: what is wrong, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frugalseg.engine.results import Result

# for each sort of item its groups, and the options for their number and for the views
_WORDS = {
    "images": ("clusters", "--clusters", "--augment"),
    "places": ("regions", "--classes", "--augment-options"),
}


@dataclass(frozen=True)
class Remark:
    """A sentence on a clustering; `sound` if it calls for no action."""

    sound: bool
    text: str


def diagnostics_lines(result: Result, items: str) -> str:
    """The remarks on a result, a line each, for the command line.

    Args:
        result: of a clustering or a discovery.
        items: see :func:`diagnostics_in_words`.
    """
    return "".join(f"{result.run}: {remark.text}\n" for remark in remarks_on(result, items))


def remarks_on(result: Result, items: str) -> list[Remark]:
    """The remarks on a result, as of :func:`diagnostics_in_words`."""
    losses = result.parts["losses"]  # none if nothing was trained
    return diagnostics_in_words(result.parts["diagnostics"], losses, items, bool(losses))


def diagnostics_in_words(
    diagnostics: Mapping[str, Any],
    losses: Sequence[float] = (),
    items: str = "images",
    trained: bool = True,
) -> list[Remark]:
    """Put the diagnostics of a clustering into words.

    Args:
        diagnostics: of `frugalseg.iic.clustering_diagnostics`.
        losses: of the sub-heads.
        items: "images", grouped into clusters, or "places" of images, grouped into regions.
        trained: whether there was a training, whose settings may be changed.

    Returns:
        Remarks, the gravest first; a single sound one if nothing is wrong.
    """
    groups = _WORDS[items][0]
    sizes, undecided = (part(diagnostics, items, trained) for part in (_sizes, _undecided))
    problems = sizes + undecided + _spread(losses)
    if problems:
        return [Remark(False, text) for text in problems]
    agreement = diagnostics.get("agreement")
    pairs = "" if agreement is None else f", two views of an image agree in {agreement:.0%}"
    return [
        Remark(
            True,
            f"Nothing collapsed: all {int(diagnostics['clusters'])} {groups} are used, "
            f"answers are clear (entropy {diagnostics['entropy']:.0%} of its maximum){pairs}. Only "
            f"the pictures can show whether these are the {groups} you have in mind: sharing "
            "much information only says that a division survives the transforms.",
        )
    ]


def _sizes(diagnostics: Mapping[str, Any], items: str, trained: bool) -> list[str]:
    """A sentence if groups are empty, uneven, or about twice as large as an equal share."""
    groups, option, views = _WORDS[items]
    clusters, used = int(diagnostics["clusters"]), int(diagnostics["used"])
    if _collapsed(diagnostics):
        remedy = (
            "the transforms are too weak or the learning rate too high. Try a third of "
            f"--learning-rate, more --num-views, or other {views}."
        )
        alike = f"the images are too much alike. Try {option} {max(2, used)}, or another --side."
        return [
            f"All {items} went to {used} of {clusters} {groups}: {remedy if trained else alike}"
        ]
    if used < clusters:
        return [
            f"{clusters - used} of {clusters} {groups} stayed empty: the images may hold "
            f"fewer kinds. Try {option} {used}, or {option} auto."
        ]
    if diagnostics["balance"] < 0.8:
        return [
            f"The {groups} are of very different size (the entropy of the mean answer is "
            f"{diagnostics['balance']:.0%} of its maximum): common in folders where some things "
            f"are rare{'; otherwise try a lower --learning-rate' * trained}."
        ]
    largest = float(diagnostics.get("largest", 0))
    if trained and clusters >= 4 and largest * clusters >= 1.9:
        return [
            f"The largest {groups.removesuffix('s')} holds {largest:.0%} of the "
            f"{items}, {largest * clusters:.1f} times an equal share: unless one kind is so "
            f"common, it holds two. Look at it, and try --restarts 3 or more {option}."
        ]
    return []


def _collapsed(diagnostics: Mapping[str, Any]) -> bool:
    return int(diagnostics["used"]) <= max(1, round(0.3 * int(diagnostics["clusters"])))


def _undecided(diagnostics: Mapping[str, Any], items: str, trained: bool) -> list[str]:
    """Sentences on uncertain answers, and on views that disagree."""
    entropy, agreement = float(diagnostics["entropy"]), diagnostics.get("agreement")
    item, (groups, option, _) = items.removesuffix("s"), _WORDS[items]
    few = "the training too short" if trained else f"{option} too many"
    section = "confused clusters" if items == "images" else "uncertain images"
    problems = []
    if entropy > 0.5 and trained and not _collapsed(diagnostics):
        problems.append(
            f"The answers hardly depend on the {item} (their entropy is {entropy:.0%} of its "
            "maximum): the training is too short or --learning-rate too low."
        )
    elif entropy > 0.2 and trained:
        problems.append(
            f"Many {items} lie between {groups} (the entropy of single answers is "
            f"{entropy:.0%} of its maximum): train longer, or look at the {section} of the report."
        )
    if agreement is not None and agreement < 0.7:
        problems.append(
            f"Two views of one {item} get the same answer in only {agreement:.0%} of the "
            f"cases: the transforms are too strong, or {few}."
        )
    return problems


def _spread(losses: Sequence[float]) -> list[str]:
    """A sentence if sub-heads or restarts ended far apart."""
    if len(losses) < 2 or max(losses) - min(losses) < 0.25:
        return []
    return [
        f"The sub-heads found different groupings (losses from {min(losses):.2f} to "
        f"{max(losses):.2f} nats; the lowest was taken): a lucky start may find better ones. "
        "Try --restarts 3."
    ]
