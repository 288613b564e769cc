"""The images that a classifier is scored on, and its scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.layouts.listing import normal_name
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table, same_path
from frugalseg.metrics.confusion import accuracy, confusion, mean_of_known, share

if TYPE_CHECKING:
    from frugalseg.data.image_mask_folder import ImageMaskFolder
    from frugalseg.data.image_set import ImageSet
    from frugalseg.tasks.finetune.model import FinetuneRun
    from frugalseg.tasks.finetune.places import PlaceRun


def images_to_score(
    run: FinetuneRun | PlaceRun,
    data: ImageSet | ImageMaskFolder,
    split: str,
    labelled: Callable[[str], NDArray[np.int64]],
    labels: str,
) -> NDArray[np.int64]:
    """Images to score: those held out in the training, or labelled ones not learned from.

    Args:
        run: the run.
        data: its own images or others.
        split: of the images; "held out" also names those of the training.
        labelled: from a split to the indices of its images that have labels or masks.
        labels: "labels" or "masks"; the run's table of this name says which it has used.

    Raises:
        FrugalsegError: there is no such image.
    """
    own = same_path(data.root, run.config.data)
    held_out = split == run.state["split"] and own and run.state["scored"]
    known = labelled("all" if held_out or split == "held out" else split)
    if own:
        rows = read_table(run.dir.path / f"{labels}.csv", ("file", "used"))
        used = {row["file"]: row["used"] for _, row in rows}
        uses = [used.get(normal_name(data.names[i]), "") for i in known.tolist()]
        kept = [use == "score" if held_out else use != "training" for use in uses]
        known = known[np.array(kept, bool)]
    if not len(known):
        all_of = {"labels": "labelled images", "masks": "masks"}
        raise FrugalsegError(
            f"{run.dir} learned from all {all_of[labels]} of {data.name}, or there are none: give "
            f"others to score on (--data, --{labels})."
        )
    return known


def class_scores(
    answers: NDArray[np.int64], labels: NDArray[np.int64], class_names: Sequence[str]
) -> dict[str, Any]:
    """Scores of answers against labels.

    Args:
        answers: (N,) class indices.
        labels: (N,) class indices, all known.
        class_names: of these classes.

    Returns:
        "accuracy"; "classes", by class the share of its images that is right, None if it has no
        images; "balanced", the mean of these shares; "class_names"; "confusion", images of each
        true class (rows) by answer; "images".
    """
    counts = confusion(answers, labels, len(class_names), len(class_names))
    sizes = counts.sum(0)
    shares = [share(right, size) for right, size in zip(counts.diagonal(), sizes, strict=True)]
    return {
        "accuracy": accuracy(counts),
        "balanced": mean_of_known(shares),
        "classes": dict(zip(class_names, shares, strict=True)),
        "class_names": list(class_names),
        "confusion": counts.T.tolist(),
        "images": int(sizes.sum()),
    }


def worst_classes(scores: Mapping[str, Any]) -> str:
    """A line on the five classes with the smallest shares of right answers.

    Args:
        scores: of :func:`class_scores`.
    """
    known = [(right, name) for name, right in scores["classes"].items() if right is not None]
    worst = ", ".join(f"{name} {right:.0%}" for right, name in sorted(known)[:5])
    return f"Right by class, the worst first: {worst}\n"
