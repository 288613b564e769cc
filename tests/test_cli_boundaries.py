"""Samplers taught by discovered boundaries: segment --boundaries RUN, with masks and without."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from frugalseg.recipes.joined import TAUGHT
from frugalseg.runs import SegmentConfig
from frugalseg.training.segment import open_data
from textures import WORDS
from tiny import TINY, cli, refused


@pytest.fixture(scope="module")
def regions(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A discovery of the training images. Not to be changed."""
    run = tmp_path_factory.mktemp("regions") / "run"
    answer = cli("discover", scenes, "--run", run, "--split", "train", *WORDS)
    assert answer.code == 0, answer.err
    return run


@pytest.fixture
def lone(scenes: Path, tmp_path: Path) -> Path:
    """Scenes of whose 6 training images 4 have no mask."""
    data = shutil.copytree(scenes, tmp_path / "data")
    for path in sorted(data.glob("masks/train/*.png"))[2:]:
        path.unlink()
    return data


def test_images_without_a_mask_teach_the_sampler(lone: Path, regions: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    answer = cli("segment", lone, "--run", run, "--boundaries", regions, *TINY)
    assert answer.code == 0, answer.err
    assert "boundaries of 6 images" in answer.err
    assert "Reading 2 training images" in answer.err
    assert yaml.safe_load((run / "config.yaml").read_text())["boundaries"] == str(regions)
    result = json.loads((run / "results" / "data-val.json").read_text())
    assert "discovered boundaries" in result["what"]["variant"]
    photo = lone / "images/test/scene_00000.jpg"
    shutil.move(regions, tmp_path / "away")  # the run loads with nothing but itself
    try:
        assert cli("predict", run, photo, "--out", tmp_path / "labels").code == 0
    finally:
        shutil.move(tmp_path / "away", regions)


def test_without_boundaries_they_are_refused(lone: Path, tmp_path: Path) -> None:
    answer = cli("segment", lone, "--run", tmp_path / "run", *TINY)
    refused(answer, "there is no mask")
    assert not (tmp_path / "run").exists()


def test_a_share_of_the_masks(scenes: Path) -> None:
    whole = open_data(SegmentConfig(str(scenes))).splits
    splits = open_data(SegmentConfig(str(scenes), mask_share=0.5)).splits
    assert len(splits["train"]) == len(splits["unlabelled"]) == 3
    assert all(sample.mask for sample in splits["train"])
    assert not any(sample.mask for sample in splits["unlabelled"])
    names = {sample.name for split in ("train", "unlabelled") for sample in splits[split]}
    assert names == {sample.name for sample in whole["train"]}
    assert splits["val"] == whole["val"]
    again = open_data(SegmentConfig(str(scenes), mask_share=0.5, seed=3)).splits
    assert again["train"] == splits["train"]  # whatever the training's seed


def test_bad_runs_and_shares_are_refused(
    scenes: Path, regions: Path, trained: dict[str, Path], tmp_path: Path
) -> None:
    unfinished = shutil.copytree(regions, tmp_path / "unfinished")
    (unfinished / "state.json").unlink()
    run = tmp_path / "run"
    asked = ("segment", scenes, "--run", run, *TINY)
    refused(cli(*asked, "--boundaries", tmp_path / "none"), "there is no such run")
    refused(cli(*asked, "--boundaries", unfinished), "is not finished")
    refused(cli(*asked, "--boundaries", trained["density"]), "is a segmentation run")
    refused(cli(*asked, "--boundaries", regions, "--sampler", "uniform"), "learns nothing")
    refused(cli(*asked, "--mask-share", "0"), "mask_share=0.0 is out of range")
    assert not run.exists()


def test_the_study_of_boundaries(scenes: Path, regions: Path, tmp_path: Path) -> None:
    from frugalseg.recipes.__main__ import app

    words = [*TINY, "--out", tmp_path / "out", "--runs", tmp_path / "runs", "--found", regions]
    words += ["--shares", "0.5", "--score", "test"]
    made = []
    for _ in range(2):  # what is there is not made again
        app(["joined", str(scenes), *map(str, words)], result_action="return_value")
        made.append({p.stem: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.json")})
    assert made[0] == made[1]
    assert set(made[0]) == {f"{taught}-0.5-0" for taught in TAUGHT}
    for taught in TAUGHT:
        result = json.loads((tmp_path / "out" / f"{taught}-0.5-0.json").read_text())
        assert result["what"]["mask_share"] == 0.5
        assert 0 < result["ceiling"]["all"] <= 1
        assert result["what"]["images"] == 2
    rows = (tmp_path / "out" / "table.md").read_text().splitlines()[2:]
    first = [row.split("|")[1].strip() for row in rows]
    assert first == ["none (uniform)", "true", "discovered"]
