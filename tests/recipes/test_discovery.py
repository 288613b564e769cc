import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.regions import read_region_result
from frugalseg.recipes import discovery
from frugalseg.recipes.discovery import DiscoveryStudy, run_discovery
from frugalseg.recipes.region_labels import run_region_labels
from textures import train, write_textures
from tiny import replace

SMALL: dict[str, dict[str, Any]] = {
    "paper": {"width": 2, "side": 32, "crop": 24, "displacement": 2, "batch": 4, "steps": 2},
    "pretrained": {"side": 64, "copies": 1, "steps": 2},
}


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("textures"), 6)


@pytest.mark.parametrize(("network", "seeds"), [("paper", (0, 1)), ("pretrained", (0,))])
def test_seeds_are_trained_and_scored_once(
    textures: Path, tmp_path: Path, network: str, seeds: tuple[int, ...]
) -> None:
    def study(*seeds: int) -> DiscoveryStudy:
        places = (textures, tmp_path / "out", tmp_path / "runs")
        asked: dict[str, Any] = {"network": network, "fit": "all", "score": "all"}
        return DiscoveryStudy(*places, **asked, seeds=seeds, settings=SMALL[network])

    run_discovery(study(0))
    made = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json")}
    said: list[str] = []
    table = run_discovery(study(*seeds), said.append)
    assert [text for text in said if text.startswith("==")] == [
        f"== {network}-{seed}, {kind} weights" for seed in seeds[1:] for kind in ("last", "lowest")
    ]
    assert all((tmp_path / "out" / name).read_bytes() == text for name, text in made.items())
    rows = table.splitlines()[2:4]
    assert [row.split("|")[1].strip() for row in rows] == [
        f"{network}-{kind}" for kind in ("last", "lowest")
    ]
    for path in (tmp_path / "out").glob("*.json"):
        result = read_region_result(path)
        assert result["what"]["clusters"] == 2
        assert result["scores"]["labelled"] == 6 * 48 * 64  # at the masks' size
        assert 0 <= result["oracle"]["accuracy"] <= 1
        assert "oracle" not in result["scores"]


def test_the_papers_recipe_is_theirs() -> None:
    paper = discovery.PAPER
    assert (paper["width"], paper["rate"], paper["displacement"]) == (64, 1e-4, 10)
    assert (paper["crop"], paper["loss_at"], paper["channels"]) == (128, "pixels", "rgb+sobel")


def test_settings_that_are_not_there(textures: Path, tmp_path: Path) -> None:
    wrong = DiscoveryStudy(textures, tmp_path / "a", tmp_path / "b", score="all", settings={"x": 1})
    with pytest.raises(FrugalsegError, match="no setting 'x'"):
        run_discovery(wrong)
    assert not list(tmp_path.iterdir())


def test_few_masks_name_regions(textures: Path, tmp_path: Path) -> None:
    runs = [tmp_path / "run-0", tmp_path / "run-1"]
    train(textures, runs[0], masks="folder", steps=1)
    shutil.copytree(runs[0], runs[1])
    replace("config.yaml", "seed: 0", "seed: 1")(runs[1])
    out = tmp_path / "curve.json"
    found = run_region_labels(runs, out, "all", "all", (1, 2, 50))
    assert json.loads(out.read_text())["runs"] == found
    assert [one["seed"] for one in found] == [0, 1]
    for one in found:
        assert [row["labelled"] for row in one["by_choice"]] == [1, 2, 6]
        last = one["by_choice"][-1]  # all of them: no choice is left
        assert last["suggested"]["accuracy"] == pytest.approx(last["random"]["accuracy"]["mean"])
    tree = ElementTree.parse(out.with_suffix(".svg"))
    assert tree.getroot().tag.endswith("svg")
    blind = shutil.copytree(runs[0], tmp_path / "blind")
    replace("config.yaml", "masks: folder", "masks: null")(blind)
    with pytest.raises(FrugalsegError, match="without masks"):
        run_region_labels([blind], tmp_path / "none.json")
    assert not (tmp_path / "none.json").exists()
