import json
from pathlib import Path

import pytest

from experiments.mask_classifiers import METHODS, mask_classifiers
from textures import train, write_textures


@pytest.mark.parametrize("points", [0, 2])
def test_all_methods_are_scored_on_the_same_images(points: int, tmp_path: Path) -> None:
    data = write_textures(tmp_path / "textures", 8)
    (data / "split.csv").write_text(
        "stem,split\n" + "".join(f"{i:02d},{'train' if i < 5 else 'val'}\n" for i in range(8))
    )
    train(data, tmp_path / "run", masks="folder")
    out = tmp_path / "scores.json"
    mask_classifiers(tmp_path / "run", out=out, draws=2, numbers=(1, 4), points=points)
    result = json.loads(out.read_text())
    assert result["images"] == 3
    assert [row["masks"] for row in result["rows"]] == [1, 4]
    for row in result["rows"]:
        assert len(row["chosen"]) == 2
        for method in METHODS:
            assert 0.3 < row[method]["accuracy"]["mean"] <= 1
    last = result["rows"][-1]
    assert last["probe"]["accuracy"]["mean"] > 0.85
    assert last["finetune"]["accuracy"]["mean"] > 0.85
