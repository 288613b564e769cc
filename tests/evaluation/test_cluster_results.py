from pathlib import Path
from typing import Any

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.cluster_results import (
    cluster_result,
    cluster_table,
    read_cluster_result,
    write_cluster_result,
)

HEALTH = {"balance": 0.9, "doubt": 0.1, "used": 3.0, "clusters": 3.0, "largest": 0.4}


def result(run: str, seed: int, accuracy: float | None, **what: Any) -> dict[str, Any]:
    whole = {"run": run, "data": "digits", "split": "all", "images": 90, "config_hash": "0"}
    whole |= {"seed": seed, "clusters": 3, "trunk": "vgg-iic", **what}
    scores = None if accuracy is None else {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25}
    return cluster_result(whole, HEALTH, [-1.0, -0.5], scores)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one = result("a", 0, 0.75)
    write_cluster_result(one, tmp_path / "results" / "digits-all.json")
    assert read_cluster_result(tmp_path / "results" / "digits-all.json") == one
    with pytest.raises(ValueError, match=r"lacks health"):
        write_cluster_result({**one, "health": None}, tmp_path / "x.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"task": "cluster"}'])
def test_what_is_no_result(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FrugalsegError, match="Evaluate the run again"):
        read_cluster_result(tmp_path / "x.json")


def test_seeds_share_a_row() -> None:
    rows = cluster_table(
        [result("a", 0, 0.5), result("b", 1, 0.75), result("c", 0, None, clusters=4)]
    ).splitlines()
    assert len(rows) == 4
    assert "| 0.625 (0.500 to 0.750) | 0.500 | 0.250 | -1.000 | 3 | 0.100 |" in rows[2]
    assert "| a, ... | digits | vgg-iic | 3 | 2 |" in rows[2]
    assert "| none | none | none | -1.000 |" in rows[3]
    assert len(cluster_table([result("a", 0, 0.5), result("b", 0, 0.6)]).splitlines()) == 4
