"""Samplers taught by discovered boundaries: segment --boundaries RUN, with masks and without."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from experiments.boundary_transfer import TAUGHT
from frugalseg.data.masks import read_mask, read_raw
from frugalseg.data.pseudo_labels import has_masks
from frugalseg.tasks.discover.predict import DiscoverRun, discover_labels
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.data import open_data
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
    assert "boundaries=run" in result["what"]["variant"]
    photo = lone / "images/test/scene_00000.jpg"
    shutil.move(regions, tmp_path / "away")  # the run loads with nothing but itself
    try:
        assert cli("predict", run, photo, "--out", tmp_path / "labels").code == 0
    finally:
        shutil.move(tmp_path / "away", regions)


@pytest.fixture(scope="module")
def photographs(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images, without one mask and in no layout. Not to be changed."""
    folder = tmp_path_factory.mktemp("lone") / "photographs"
    for split in ("train", "val"):
        shutil.copytree(scenes / "images" / split, folder / split)
    return folder


@pytest.fixture(scope="module")
def divided(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A discovery of the photographs. Not to be changed."""
    run = tmp_path_factory.mktemp("divided") / "regions"
    answer = cli("discover", photographs, "--run", run, *WORDS)
    assert answer.code == 0, answer.err
    return run


def test_a_folder_without_a_mask(photographs: Path, divided: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = ("segment", photographs, "--run", run, "--boundaries", divided, *TINY)
    answer = cli(*asked)
    assert answer.code == 0, answer.err
    assert "has no masks: the segmenter learns the regions" in answer.err
    assert (run / "classes.csv").read_bytes() == (divided / "classes.csv").read_bytes()
    result = json.loads((run / "results" / "photographs-val.json").read_text())
    assert result["what"]["truth"] == "regions found by regions"
    assert "boundaries=regions" in result["what"]["variant"]
    page = (run / "report.html").read_text()
    assert "There are no masks" in page
    assert "<figcaption>regions</figcaption>" in page
    assert "<figcaption>truth</figcaption>" not in page
    shutil.move(divided, tmp_path / "away")  # predictions need the run alone
    try:
        out = tmp_path / "labels"
        assert cli("predict", run, photographs / "val", "--out", out).code == 0
        refused(cli("evaluate", run, "--split", "val"), "there is no such run")
    finally:
        shutil.move(tmp_path / "away", divided)
    labels = read_raw(next(out.rglob("*0.png")))
    assert set(np.unique(labels)) <= {0, 1}
    assert "finished already" in cli(*asked).err


def test_one_region_as_the_target(photographs: Path, divided: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = ("segment", photographs, "--run", run, "--boundaries", divided, *TINY)
    answer = cli(*asked, "--targets", "region 1")
    assert answer.code == 0, answer.err
    assert "Finding the boundaries" not in answer.err
    scores = json.loads((run / "results" / "photographs-val.json").read_text())["scores"]
    assert scores["targets"] == ["region 1"]
    other = cli(*asked[:3], tmp_path / "other", *asked[4:], "--targets", "sky")
    refused(other, "'sky' is not among the classes: region 0, region 1")


def test_regions_as_truth_are_those_of_the_discovery(photographs: Path, divided: Path) -> None:
    regions = DiscoverRun.load(divided)
    config = SegmentConfig(str(photographs), boundaries=str(divided), targets=("region 1",))
    data = open_data(config)
    assert {name: len(some) for name, some in data.splits.items()} == {"train": 6, "val": 3}
    assert data.classes.names == ("region 0", "region 1")
    assert data.classes.targets == [1]
    for samples in data.splits.values():
        for sample in samples:
            assert sample.mask is not None
            labels = read_mask(sample.mask, data.classes)
            assert (labels == discover_labels(regions, sample.image)).all()
    nested = open_data(SegmentConfig(str(photographs), boundaries=str(divided), val_share=0.5))
    assert nested.splits == data.splits  # the folder says which are val


def test_empty_folders_of_masks(scenes: Path, tmp_path: Path) -> None:
    data = shutil.copytree(scenes, tmp_path / "data")
    for path in data.glob("masks/*/*.png"):
        path.unlink()
    assert not has_masks(data)
    run = tmp_path / "regions"
    assert cli("discover", data, "--run", run, *WORDS).code == 0
    splits = open_data(SegmentConfig(str(data), boundaries=str(run))).splits
    assert {name: len(some) for name, some in splits.items()} == {"train": 6, "val": 3, "test": 2}


def test_discoveries_that_do_not_fit_are_refused(
    photographs: Path, divided: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    copy = shutil.copytree(photographs, tmp_path / "copy")
    words = ("--run", run, "--boundaries", divided, *TINY)
    refused(cli("segment", copy, *words), f"has divided {photographs}, not {copy}")
    refused(cli("segment", tmp_path / "none", *words), "there is no such folder")
    refused(cli("segment", photographs, *words, "--mask-share", "0.5"), "no masks to share out")
    assert not run.exists()


def photos(folder: Path, *names: str) -> Path:
    """Small images, each of its own brightness."""
    for value, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5, 3), 20 * value, np.uint8)).save(folder / name)
    return folder


def test_a_split_that_names_no_image_is_said(tmp_path: Path) -> None:
    data = photos(tmp_path / "data", "images/a.png", "images/b.png")
    (data / "split.csv").write_text("stem,split\na,train\nc,val\n")
    refused(cli("discover", data, "--run", tmp_path / "run"), "no image c")


def test_masks_under_another_name_are_no_photographs(tmp_path: Path) -> None:
    data = photos(tmp_path / "data", "images/a.jpg", "images/b.jpg", "other/a.png", "other/b.png")
    refused(cli("discover", data, "--run", tmp_path / "run"), "if they are masks")


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
    refused(
        cli(*asked, "--boundaries", trained["density"]), "a run of 'segment', not of 'discover'"
    )
    refused(cli(*asked, "--mask-share", "0"), "mask_share=0.0 is out of range")
    assert not run.exists()


def test_the_study_of_boundaries(scenes: Path, regions: Path, tmp_path: Path) -> None:
    from experiments.__main__ import app

    words = [*TINY, "--out", tmp_path / "out", "--runs", tmp_path / "runs", "--discovery", regions]
    words += ["--shares", "0.5", "--score", "test"]
    made = []
    for _ in range(2):  # what is there is not made again
        app(["boundary-transfer", str(scenes), *map(str, words)], result_action="return_value")
        made.append({p.stem: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.json")})
    assert made[0] == made[1]
    assert set(made[0]) == {f"{taught}-0.5-0" for taught in TAUGHT}
    for taught in TAUGHT:
        result = json.loads((tmp_path / "out" / f"{taught}-0.5-0.json").read_text())
        assert result["settings"]["mask_share"] == 0.5
        assert 0 < result["ceiling"]["all"] <= 1
        assert result["what"]["images"] == 2
    rows = (tmp_path / "out" / "table.md").read_text().splitlines()[2:]
    first = [row.split("|")[1].strip() for row in rows]
    assert first == ["none (uniform)", "true", "discovered"]
