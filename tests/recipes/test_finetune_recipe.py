import json
from pathlib import Path

import pytest

from frugalseg.recipes.finetune import finetune_table, run_finetune
from shapes import shapes, train


def test_both_starts_are_compared_by_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from frugalseg.data import image_sets

    monkeypatch.setattr(image_sets, "open_images", lambda *rest: shapes())
    train(tmp_path / "run", steps=1)
    out, said = tmp_path / "curve.json", []
    arguments = (tmp_path / "run", out, tmp_path / "runs", (0.3,), (0,), 1)
    rows = run_finetune(*arguments, say=said.append)
    assert [(row["share"], row["start"]) for row in rows] == [(0.3, "clustered"), (0.3, "nothing")]
    assert [row["labels"] for row in rows] == [15, 15]
    assert json.loads(out.read_text())["rows"] == rows
    assert "<svg" in out.with_suffix(".svg").read_text()
    said.clear()
    assert run_finetune(*arguments, say=said.append) == rows
    assert sum("finished already" in text for text in said) == 2


def test_a_table_has_a_line_for_each_share_and_the_range_over_seeds() -> None:
    one = {"mean": 0.5, "least": 0.5, "greatest": 0.5}
    some = {"mean": 0.6, "least": 0.5, "greatest": 0.75}
    rows = [
        {"share": share, "labels": labels, "seeds": [0, 1], "start": start, "accuracy": accuracy}
        for share, labels in ((0.3, 15), (1.0, 48))
        for start, accuracy in (("clustered", some), ("nothing", one))
    ]
    lines = finetune_table(rows).splitlines()
    assert len(lines) == 4
    assert lines[3] == "| 48 | 2 | 0.600 (0.500 to 0.750) | 0.500 |"
