from pathlib import Path

import numpy as np
import pytest

from frugalseg.cluster_runs import ClusterConfig
from frugalseg.recipes.ablation import VARIANTS, explained, run_ablation, sorted_digits
from shapes import TINY, shapes


def test_each_variant_changes_what_it_says_and_is_kept(tmp_path: Path) -> None:
    config = ClusterConfig(**TINY)
    names = ("no rotation", "sorted batches")
    arguments = (tmp_path / "out", tmp_path / "runs", (0,), names, config, shapes())
    table = run_ablation(*arguments)
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert rows == [name for name in VARIANTS if name in names]
    assert (tmp_path / "out" / "table.md").read_text() == table
    files = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert run_ablation(*arguments) == table
    again = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert again.items() <= files.items()


def test_digits_lie_sorted() -> None:
    digits = sorted_digits()
    assert digits.labels is not None
    assert (np.diff(digits.labels) >= 0).all()
    assert len(digits) == 1797


def test_ink_explained_is_the_share_between_groups() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert explained(values, np.array([0, 1, 0, 1])) == pytest.approx(0.2)
    assert explained(values, np.array([0, 0, 2, 2])) == pytest.approx(0.8)
