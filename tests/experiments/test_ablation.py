from pathlib import Path

import numpy as np
import pytest

from experiments.ablation import VARIANTS, ablation, explained, sorted_digits
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.config import ClusterConfig
from shapes import TINY, shapes


def test_each_variant_changes_what_it_says_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.ablation.sorted_digits", shapes)
    monkeypatch.setattr(
        "experiments.ablation.demo_config", lambda seed: ClusterConfig(**TINY, seed=seed)
    )
    out, names = tmp_path / "out", ("no rotation", "sorted batches")
    table = ablation(out=out, runs=tmp_path / "runs", seeds=(0,), variants=names)
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert rows == [name for name in VARIANTS if name in names]
    assert (out / "table.md").read_text() == table
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    assert ablation(out=out, runs=tmp_path / "runs", seeds=(0,), variants=names) == table
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")} == times
    with pytest.raises(FrugalsegError, match="did you mean 'no rotation'"):
        ablation(out=out, variants=("no rotatoin",))


def test_digits_lie_sorted() -> None:
    digits = sorted_digits()
    assert digits.labels is not None
    assert (np.diff(digits.labels) >= 0).all()
    assert len(digits) == 1797


def test_ink_explained_is_the_share_between_groups() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert explained(values, np.array([0, 1, 0, 1])) == pytest.approx(0.2)
    assert explained(values, np.array([0, 0, 2, 2])) == pytest.approx(0.8)
