"""Ids and colours in masks that no class has: the sentences that name them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.errors import FrugalsegError

MAX_ID = 65535


def unknown_ids(ids: NDArray[np.integer]) -> str:
    """The sentence for ids outside the list, or that no list can hold."""
    impossible = ids[outside(ids)]
    values, counts = np.unique(impossible if impossible.size else ids, return_counts=True)
    listed = ", ".join(f"{v} ({n} pixels)" for v, n in list(zip(values, counts, strict=True))[:5])
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    if impossible.size:
        return (
            f"id {listed}{more} is not from 0 to {MAX_ID}. Save the mask with such ids, "
            "255 where a pixel is to be ignored."
        )
    hint = (
        "The mask may have been scaled, smoothed or saved as JPEG"
        if len(values) > 5
        else "Add it to classes.csv, or ignore it"
    )
    return f"id {listed}{more} is not in the class list. {hint}."


def outside(ids: NDArray[Any]) -> NDArray[np.bool_]:
    """Where ids are that no class can have."""
    where: NDArray[np.bool_] = (ids < 0) | (ids > MAX_ID)
    return where


def refuse_outside(ids: NDArray[np.integer]) -> None:
    """Refuse ids that no class can have: below 0 or above 65535, as 32-bit masks may hold.

    Raises:
        FrugalsegError: which ids, and how many pixels of each.
    """
    if ids.size and (ids.min() < 0 or ids.max() > MAX_ID):
        raise FrugalsegError(unknown_ids(ids))


def unknown_colours(packed: NDArray[np.uint32]) -> str:
    """The sentence for colours outside the list."""
    values, counts = np.unique(packed, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    listed = ", ".join(f"#{values[i]:06x} ({counts[i]} pixels)" for i in order)
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""
    return (
        f"colour {listed}{more} is not in the class list. Add it to classes.csv, "
        "or save masks without smoothing and not as JPEG."
    )
