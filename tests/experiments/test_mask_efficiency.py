import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments.mask_efficiency import mask_efficiency
from frugalseg.errors import FrugalsegError
from textures import train, write_textures
from tiny import trained_with


def test_few_masks_name_regions(tmp_path: Path) -> None:
    textures = write_textures(tmp_path / "textures", 6)
    runs = [tmp_path / "run-0", tmp_path / "run-1"]
    train(textures, runs[0], masks="folder", steps=1)
    shutil.copytree(runs[0], runs[1])
    trained_with(seed=1)(runs[1])
    out = tmp_path / "curve.json"
    curves = mask_efficiency(runs, out=out, fit="all", score="all", numbers=(1, 2, 50))
    assert json.loads(out.read_text())["runs"] == curves
    assert [one["seed"] for one in curves] == [0, 1]
    for one in curves:
        assert [row["labelled"] for row in one["by_choice"]] == [1, 2, 6]
        last = one["by_choice"][-1]  # all of them: no choice is left
        assert last["suggested"]["accuracy"] == pytest.approx(last["random"]["accuracy"]["mean"])
    tree = ElementTree.parse(out.with_suffix(".svg"))
    assert tree.getroot().tag.endswith("svg")
    blind = tmp_path / "blind"
    train(textures, blind, steps=1)
    with pytest.raises(FrugalsegError, match="without masks"):
        mask_efficiency([blind], out=tmp_path / "none.json")
    assert not (tmp_path / "none.json").exists()
