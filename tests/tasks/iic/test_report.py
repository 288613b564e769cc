from pathlib import Path

import pytest

from frugalseg.engine.results import Result
from frugalseg.tasks.cluster.task import RESULT
from frugalseg.tasks.iic.report import agreement_table, write_comparison

ONE = {f"{i}.jpg": i // 5 for i in range(10)}
SWAPPED = {name: 1 - cluster for name, cluster in ONE.items()}
OTHER = {f"{i}.jpg": i % 2 for i in range(10)} | {"more.jpg": 3}


def test_agreement_does_not_depend_on_numbers_of_clusters() -> None:
    table = agreement_table({"a": ONE, "b": SWAPPED, "c": OTHER, "d": {"x": 0}})
    assert table[0][1] == table[1][0] == 1.0
    # by pairs: of 20 pairs that are together in one, 8 are in both; 45 in all
    together = 8 - 20 * 20 / 45
    assert table[0][2] == pytest.approx(together / (20 - 20 * 20 / 45))
    assert table[0][3] is None


def test_the_page_names_runs_and_what_is_wrong(tmp_path: Path) -> None:
    diagnostics = {"balance": 0.2, "entropy": 0.0, "used": 1.0, "clusters": 10.0}
    sound = {"balance": 1.0, "entropy": 0.0, "used": 10.0, "clusters": 10.0}
    results = [
        Result(
            RESULT,
            {"run": run, "data": "digits", "split": "all", "clusters": 10, "seed": seed},
            {"cpu": "some"},
            scores,
            {"diagnostics": state, "losses": [-2.0]},
        )
        for seed, (run, state, scores) in enumerate(
            [
                ("good<1>", sound, {"accuracy": 0.9, "nmi": 0.8, "ari": 0.7}),
                ("bad", diagnostics, None),
            ]
        )
    ]
    agreement = agreement_table({"good<1>": ONE, "bad": OTHER})
    write_comparison(results, agreement, ["good<1>", "bad"], tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "good&lt;1&gt;, bad" in html
    assert "bad: All images went to 1 of 10 clusters" in html
    assert "0.900" in html
    assert "-0.0" in html  # the agreement, below chance
    assert "http:" not in html
