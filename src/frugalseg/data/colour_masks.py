"""Suggest a class list for masks of colours that come without one."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from frugalseg.data.class_lists.files import COLUMNS
from frugalseg.data.masks import read_raw
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads

_MOST_SHOWN = 20


def suggest_classes(masks: Sequence[Path]) -> str | None:
    """A classes.csv for masks of colours, the most frequent colour first, with a word before it.

    Args:
        masks: files; those that cannot be read are passed over.

    Returns:
        None if no mask holds colours.
    """
    counts: Counter[int] = Counter()
    for colours in in_threads(_colours, masks):
        counts.update(colours)
    if not counts:
        return None
    lines = [
        f"class_{i},{i},#{colour:06x},no"
        for i, (colour, _) in enumerate(counts.most_common(_MOST_SHOWN))
    ]
    shown = f"the {_MOST_SHOWN} most frequent" if len(counts) > _MOST_SHOWN else "by frequency"
    text = f"The masks hold {len(counts)} colour{'s' * (len(counts) > 1)}. As a classes.csv, "
    return "\n".join([f"{text}{shown}, to be named:", ",".join(COLUMNS), *lines])


def _colours(path: Path) -> dict[int, int]:
    """How many pixels of a mask have each colour; nothing if it holds ids or cannot be read."""
    try:
        raw = read_raw(path)
    except FrugalsegError:
        return {}
    if raw.ndim != 3:
        return {}
    packed = raw.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    values, counts = np.unique(packed, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
