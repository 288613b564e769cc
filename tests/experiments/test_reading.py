import json
from pathlib import Path

from experiments.__main__ import main as experiments
from tiny import answer


def test_reading_in_place_is_what_evaluation_does(trained: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "reading.json"
    assert answer(experiments, "reading", *trained.values(), "--out", out).code == 0
    rows = json.loads(out.read_text())["runs"]
    assert [(row["run"], row["reading"]) for row in rows[:3]] == [
        ("density", "in place"),
        ("density", "at phi of the reduced image"),
        ("density", "not reduced"),
    ]
    for name, run in trained.items():
        result = json.loads((run / "results" / "scenes-val.json").read_text())
        row = next(r for r in rows if r["run"] == name and r["reading"] == "in place")
        assert {"all": row["all"], "target": row["target"]} == result["scores"]["miou"]
