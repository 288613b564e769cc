"""Groups of pixels against classes: scores after matching, result files, and their table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.classes import IGNORE_INDEX
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import FORMAT, command_line, environment, spread_text
from frugalseg.files import write_json
from frugalseg.information import many_to_one, one_to_one

TASK = "regions"
_TASKS = (TASK, "discover")  # discoveries say more, and all that is wanted here
_REQUIRED: dict[str, tuple[str, ...]] = {
    "what": ("command", "run", "data", "split", "images", "seed", "clusters"),
    "environment": ("frugalseg", "torch", "date"),
    "scores": ("accuracy", "miou", "iou", "confusion", "mapping"),
}


def enlarge(groups: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """A small map of groups at another size, each pixel as the nearest one.

    Args:
        groups: (h, w).
        size: height and width wanted.

    Returns:
        (height, width).
    """
    if groups.shape == tuple(size):
        return groups
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.int64)
        for new, old in zip(size, groups.shape, strict=True)
    )
    larger: NDArray[Any] = groups[rows[:, None], columns]
    return larger


def count_regions(
    groups: NDArray[Any], truth: NDArray[np.uint8], clusters: int, classes: int
) -> NDArray[np.int64]:
    """Count the pixels of each class in each group, at the size of the mask.

    Args:
        groups: (h, w) from 0 to `clusters - 1`, of any size; enlarged to the mask's.
        truth: (H, W) class indices, 255 where a pixel does not count.
        clusters, classes: how many there are, used or not.

    Returns:
        (clusters, classes); the counts of images add up.

    Raises:
        ValueError: a number is out of range.
    """
    found = enlarge(groups, (truth.shape[0], truth.shape[1]))
    if clusters > 256 or found.min(initial=0) < 0 or found.max(initial=0) >= clusters:
        raise ValueError(f"groups are not below {clusters}, or these are more than 256")
    # one count over all 256 x 256 pairs of bytes: large images need little memory
    pairs = found.astype(np.uint16) << 8 | truth
    table = np.bincount(pairs.ravel(), minlength=1 << 16).reshape(256, 256)[:, :IGNORE_INDEX]
    if table[:, classes:].any():
        raise ValueError(f"classes are not below {classes}")
    return table[:clusters, :classes].astype(np.int64)


def region_scores(counts: NDArray[np.integer], names: Sequence[str]) -> dict[str, Any]:
    """Scores of groups of pixels, ready for JSON.

    Groups are matched with classes one to one so that most pixels are right (Hungarian); a class
    that gets no group has IoU 0, a class without a true pixel None, and no mean includes it.

    Args:
        counts: (clusters, classes) from `count_regions`, summed over the images.
        names: of the classes.

    Returns:
        "accuracy" (share of labelled pixels that are right, pooled over the images),
        "accuracy_many_to_one" (each group as its most frequent class), "accuracy_of_one_region"
        (what calling everything the largest class would score), "miou", "iou" by class,
        "mapping" (class of each group, -1 for none), "used" (groups with a labelled pixel),
        "labelled" (pixels) and "confusion".

    Raises:
        ValueError: no pixel is labelled, or names do not fit.
    """
    counts = np.asarray(counts, np.int64)
    if counts.shape[1] != len(names):
        raise ValueError(f"{len(names)} names for {counts.shape[1]} classes")
    total = int(counts.sum())
    if not total:
        raise ValueError("no pixel is labelled")
    mapping, most = one_to_one(counts), many_to_one(counts)
    groups = np.arange(len(counts))
    iou: dict[str, float | None] = {}
    for index, name in enumerate(names):
        pixels = int(counts[:, index].sum())
        right = int(counts[mapping == index, index].sum())
        union = pixels + int(counts[mapping == index].sum()) - right
        iou[name] = right / union if pixels else None
    present = [value for value in iou.values() if value is not None]
    used = most >= 0
    return {
        "accuracy": float(counts[groups[mapping >= 0], mapping[mapping >= 0]].sum() / total),
        "accuracy_many_to_one": float(counts[groups[used], most[used]].sum() / total),
        "accuracy_of_one_region": float(counts.sum(0).max() / total),
        "miou": sum(present) / len(present),
        "iou": iou,
        "mapping": mapping.tolist(),
        "used": int(used.sum()),
        "labelled": total,
        "confusion": counts.tolist(),
    }


def adjusted_rand(counts: NDArray[np.int64]) -> float:
    """The adjusted Rand index of two divisions of the same pixels (Hubert and Arabie 1985).

    Args:
        counts: (a, b) pixels by both.

    Returns:
        1 where both are the same but for numbers, about 0 for chance.
    """
    table = counts.astype(np.float64)

    def pairs(sizes: NDArray[np.float64]) -> float:
        return float((sizes * (sizes - 1)).sum() / 2)

    together, total = pairs(table), pairs(table.sum(keepdims=True))
    first, second = pairs(table.sum(1)), pairs(table.sum(0))
    expected = first * second / total if total else 0.0
    greatest = (first + second) / 2
    return (together - expected) / (greatest - expected) if greatest > expected else 1.0


def region_result(what: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """A result for `write_region_result`.

    Args:
        what: was done: "run", "data", "split", "images", "seed", "clusters", ...
        scores: from `region_scores`.
    """
    return {
        "format": FORMAT,
        "task": TASK,
        "what": {"command": command_line(), **what},
        "environment": environment(),
        "scores": dict(scores),
    }


def write_region_result(result: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON, whole or not at all.

    Raises:
        ValueError: it lacks something or holds a number that is not finite.
        FrugalsegError: the file cannot be written.
    """
    if missing := _missing(result):
        raise ValueError(f"the result lacks {', '.join(missing)}")
    write_json(result, path)


def read_region_result(path: Path) -> dict[str, Any]:
    """Read a result file of groups of pixels, however they were found, scored by masks.

    Raises:
        FrugalsegError: the file is missing, not JSON, of another kind, or lacks something.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FrugalsegError(f"{path}: the result cannot be read ({error}). Remove it.") from error
    if not isinstance(result, dict) or result.get("task") not in _TASKS:
        raise FrugalsegError(f"{path}: this is no result of an unsupervised segmentation.")
    if missing := _missing(result):
        raise FrugalsegError(f"{path}: the result lacks {', '.join(missing)}. Remove it.")
    return result


def _missing(result: Mapping[str, Any]) -> list[str]:
    missing = [] if "format" in result else ["format"]
    for part, keys in _REQUIRED.items():
        found = result.get(part)
        if not isinstance(found, Mapping):
            missing.append(part)
        else:
            missing += [f"{part}.{key}" for key in keys if key not in found]
    return missing


_COLUMNS: tuple[tuple[str, str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("accuracy", ".3f", lambda result: result["scores"]["accuracy"]),
    ("mIoU", ".3f", lambda result: result["scores"]["miou"]),
    ("groups used", ".0f", lambda result: result["scores"]["used"]),
)


_OF_ONE_SEED = ("seed", "command", "config_hash")


def region_table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: a row for results that differ by seed alone: mean (least to greatest)."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        key = {k: v for k, v in result["what"].items() if k not in _OF_ONE_SEED}
        groups.setdefault(json.dumps(key, sort_keys=True, default=str), []).append(result)
    header = ["run", "data", "split", "classes", "seeds", *(name for name, _, _ in _COLUMNS)]
    rows = []
    for group in groups.values():
        what = group[0]["what"]
        words = [what["run"], what["data"], what["split"], what["clusters"], len(group)]
        rows.append([*map(str, words), *(spread_text(group, v, form) for _, form, v in _COLUMNS)])
    rule = ["---" if i < 3 else "---:" for i in range(len(header))]
    return "".join("| " + " | ".join(line) + " |\n" for line in (header, rule, *rows))
