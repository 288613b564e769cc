"""Fine-tuning of discoveries from a few masks, through the real command line."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import frugalseg
from textures import WORDS, write_textures
from tiny import cli, refused, replace


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """22 images of 48x64 pixels with masks. Not to be changed."""
    return write_textures(tmp_path_factory.mktemp("data") / "textures", 22)


@pytest.fixture(scope="module")
def discovered(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished discovery that knows no mask. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "discovered"
    answer = cli("discover", textures, "--run", run, *WORDS)
    assert answer.code == 0, answer.err
    return run


@pytest.fixture(scope="module")
def tuned(discovered: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned from 18 masks. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "tuned"
    answer = cli("finetune", discovered, "--run", run, "--masks", "folder")
    assert answer.code == 0, answer.err
    assert "Learned by" in answer.err
    assert "in cross-validation over images: probe " in answer.err
    assert "| tuned | vgg-seg 2 |" in answer.out
    return run


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def some_masks(
    textures: Path, folder: Path, change: Callable[[NDArray[np.uint8]], object], *names: str
) -> Path:
    """A folder of changed copies of some masks."""
    folder.mkdir()
    shutil.copy(textures / "classes.csv", folder)
    for name in names:
        mask = read(textures / "masks" / name).copy()
        change(mask)
        Image.fromarray(mask).save(folder / name)
    return folder


def test_a_run_is_whole_and_scored_on_masks_it_did_not_learn_from(
    tuned: Path, textures: Path
) -> None:
    used = rows(tuned / "masks.csv")
    scored = [row["file"] for row in used if row["used"] == "score"]
    assert len(scored) == 4
    assert sum(row["used"] == "training" for row in used) == 18
    result = json.loads((tuned / "results" / "textures-held-out.json").read_text())
    right = [
        read(tuned / "labels" / name) == read(textures / "masks" / Path(name).name)
        for name in scored
    ]
    assert result["scores"]["accuracy"] == pytest.approx(np.mean(right))
    assert result["scores"]["accuracy"] > 0.9  # dark beside bright noise
    assert set(result["scores"]["iou"]) == {"dark", "bright"}
    assert result["what"]["method"] in ("probe", "groups", "both")
    assert set(result["cross_validation"]) == {"probe", "groups", "both"}
    assert len(list((tuned / "labels").rglob("*.png"))) == 22
    assert len(list((tuned / "overlays").rglob("*.jpg"))) == 22


def test_the_run_needs_nothing_but_itself(tuned: Path, textures: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tuned, tmp_path / "moved")
    replace("config.yaml", "clustering: ", "clustering: gone")(run)
    answer = cli("predict", run, textures / "images", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    for path in sorted((tmp_path / "out" / "labels").iterdir()):
        expected = read(tuned / "labels" / "images" / path.name)
        assert np.array_equal(read(path), expected)
    loaded = frugalseg.load(run)
    found = loaded.predict(textures / "images" / "03.png")
    assert np.array_equal(found.labels, read(tuned / "labels" / "images" / "03.png"))
    assert found.soft.sum(0) == pytest.approx(1, abs=1e-5)


def test_evaluate_scores_what_was_held_out_or_other_masks(
    tuned: Path, textures: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(tuned, tmp_path / "run")
    path = run / "results" / "textures-held-out.json"
    first = json.loads(path.read_text())["scores"]
    path.unlink()
    answer = cli("evaluate", run)
    assert answer.code == 0, answer.err
    assert json.loads(path.read_text())["scores"] == first
    other = write_textures(tmp_path / "other", 3)
    answer = cli("evaluate", run, "--data", other)
    assert answer.code == 0, answer.err
    assert json.loads((run / "results" / "other-all.json").read_text())["what"]["images"] == 3
    refused(cli("evaluate", run, "--labels", "a.csv"), "give --masks, not --labels")
    refused(cli("evaluate", run, "--split", "holiday"), "'holiday'")
    (other / "classes.csv").write_text("name,id,colour\ndark,0,#202020\nzebra,1,#f0f0f0\n")
    refused(cli("evaluate", run, "--data", other), "'zebra'", "it knows dark, bright")


def test_runs_are_compared_with_pictures(tuned: Path, discovered: Path, tmp_path: Path) -> None:
    other, page = tmp_path / "other", tmp_path / "page.html"
    words = ("--masks", "folder", "--method", "groups", "--share", "0.2")
    assert cli("finetune", discovered, "--run", other, *words).code == 0
    answer = cli("compare", tuned, other, "--out", page, "--images", "2")
    assert answer.code == 0, answer.err
    assert page.read_text().count("<img") == 2 * 3
    assert "Fine-tuned runs on textures, held out" in page.read_text()


def strokes(mask: NDArray[np.uint8]) -> None:
    kept = mask[24].copy()
    mask[:] = 255
    mask[24] = kept


def test_a_few_strokes_are_enough(discovered: Path, textures: Path, tmp_path: Path) -> None:
    masks = some_masks(textures, tmp_path / "masks", strokes, "00.png", "05.png")
    run = tmp_path / "run"
    answer = cli("finetune", discovered, "--run", run, "--masks", masks)
    assert answer.code == 0, answer.err
    assert "No mask is held out" in answer.err
    assert "'both' (not cross-validated), from 64 places of 2 masks" in answer.err
    right = [
        read(run / "labels" / "images" / path.name) == read(path)
        for path in sorted((textures / "masks").iterdir())
    ]
    assert np.mean(right) > 0.85
    refused(cli("evaluate", run), "learned from all masks")
    answer = cli("evaluate", run, "--masks", "folder")
    assert answer.code == 0, answer.err
    assert "| 20 |" in answer.out  # images


def test_masks_that_do_not_suffice(discovered: Path, textures: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"

    def refuse(folder: Path, *says: str) -> None:
        refused(cli("finetune", discovered, "--run", run, "--masks", folder), *says)
        assert not run.parent.exists()

    empty = some_masks(textures, tmp_path / "a", lambda mask: mask.fill(255), "00.png", "01.png")
    refuse(empty, "255 is ignored")
    one = some_masks(textures, tmp_path / "b", lambda mask: mask.fill(1), "00.png", "01.png")
    refuse(one, "2 masks to learn from", "bright")
    words = ("--run", run, "--masks", one, "--ignore", "bright")
    refused(cli("finetune", discovered, *words), "o pixel of the 2 masks to learn from has a class")
    strange = some_masks(textures, tmp_path / "c", strokes, "00.png")
    (strange / "00.png").rename(strange / "holiday.png")
    refuse(strange, "no mask in it has the name of an image")
    large = some_masks(textures, tmp_path / "d", strokes, "00.png")
    Image.fromarray(np.zeros((96, 128), np.uint8)).save(large / "00.png")
    refuse(large, "00.png", "96")
    refuse(tmp_path / "nowhere", "nowhere")
    refused(cli("finetune", discovered, "--run", run), "give --masks")
    for words in (("--method", "network"), ("--untrained",)):
        words = ("--masks", textures / "masks", *words)
        refused(cli("finetune", discovered, "--run", run, *words), "are for clusterings")
    refused(cli("finetune", discovered, "--run", run, "--labels", "a.csv"), "--masks, not --labels")
    refused(
        cli("finetune", discovered, "--run", run, "--masks", "folder", "--split", "holiday"),
        "'holiday'",
    )
    assert not run.parent.exists()


def test_a_class_in_one_mask_alone_is_said(
    discovered: Path, textures: Path, tmp_path: Path
) -> None:
    masks = some_masks(
        textures, tmp_path / "masks", lambda mask: mask.fill(0), "00.png", "01.png", "02.png"
    )
    shutil.copy(textures / "masks" / "04.png", masks)
    answer = cli("finetune", discovered, "--run", tmp_path / "run", "--masks", masks)
    assert answer.code == 0, answer.err
    assert "bright: in one mask to learn from alone" in answer.err


def test_a_clustering_takes_no_masks(grouped: Path, textures: Path, tmp_path: Path) -> None:
    words = (grouped, "--run", tmp_path / "runs" / "one", "--labels", "folders")
    refused(cli("finetune", *words, "--masks", textures / "masks"), "give --labels, not --masks")
    refused(cli("finetune", *words, "--method", "both", "--untrained"), "is for --method network")
    assert not (tmp_path / "runs").exists()
