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
    arguments = (tmp_path / "run", out, tmp_path / "runs", (0.3, 1.0), (0, 1), 2)
    rows = run_finetune(*arguments, say=said.append)
    assert [(row["share"], row["start"]) for row in rows] == [
        (0.3, "clustered"),
        (0.3, "nothing"),
        (1.0, "clustered"),
        (1.0, "nothing"),
    ]
    assert [row["labels"] for row in rows] == [15, 15, 48, 48]
    assert json.loads(out.read_text())["rows"] == rows
    assert "<svg" in out.with_suffix(".svg").read_text()
    assert finetune_table(rows).count("\n") == 4
    said.clear()
    assert run_finetune(*arguments, say=said.append) == rows
    assert sum("finished already" in text for text in said) == 8
