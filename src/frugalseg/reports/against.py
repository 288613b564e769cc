"""Tables of clusters or regions against classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def against_table(
    counts: Sequence[Sequence[int]], rows: Sequence[str], classes: Sequence[str], shares: bool
) -> dict[str, Any]:
    """Things of each class in each group, shaded by their share of the group.

    Args:
        counts: (groups, classes).
        rows: names of the groups.
        classes: names of the classes.
        shares: show shares of the group, not counts.

    Returns:
        "classes", and "rows": each "name" and "cells" of "text" and "tint".
    """
    table = np.asarray(counts)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)

    def cell(count: int, part: float) -> dict[str, Any]:
        text = f"{part:.0%}" if shares and part >= 0.005 else str(count) if not shares else ""
        return {"text": text if count else "", "tint": round(float(part) * 0.6, 3)}

    found = [
        {"name": name, "cells": [cell(int(n), s) for n, s in zip(line, part, strict=True)]}
        for name, line, part in zip(rows, table, share, strict=True)
    ]
    return {"classes": list(classes), "rows": found}
