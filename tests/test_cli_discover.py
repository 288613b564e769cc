"""Discoveries through the real command line."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from frugalseg.tasks.discover.predict import DiscoverRun, discover_labels
from textures import WORDS, write_textures
from tiny import Spoil, cli, refused, remove, replace, write


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images of 48x64 pixels with masks. Not to be changed."""
    return write_textures(tmp_path_factory.mktemp("data") / "textures", 8)


@pytest.fixture(scope="module")
def discovered(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished discovery. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "discovered"
    answer = cli("discover", textures, "--run", run, "--masks", "folder", *WORDS)
    assert answer.code == 0, answer.err
    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


def options(**changes: str) -> list[str]:
    """The tiny options, some of them changed."""
    known = dict(zip(WORDS[::2], WORDS[1::2], strict=True))
    known |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [word for pair in known.items() for word in pair]


def test_a_run_is_whole(discovered: Path, textures: Path) -> None:
    there = {path.name for path in discovered.iterdir()}
    assert there >= {"config.yaml", "state.json", "weights.safetensors", "metrics.jsonl"}
    assert there >= {"labels", "overlays", "regions.csv", "classes.csv", "results"}
    table = rows(discovered / "regions.csv")
    assert [row["file"] for row in table] == [f"images/{i:02d}.png" for i in range(8)]
    assert list(table[0])[1:] == [row["name"] for row in rows(discovered / "classes.csv")]
    for row in table:
        shares = [float(value) for name, value in row.items() if name != "file"]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        labels = read(discovered / "labels" / f"{row['file'][:-4]}.png")
        assert labels.shape == (48, 64)
        np.testing.assert_allclose(np.bincount(labels.ravel(), minlength=2) / 3072, shares, 1e-3)
        overlay = read((discovered / "overlays" / row["file"]).with_suffix(".jpg"))
        assert overlay.shape == (48, 64, 3)
    result = json.loads((discovered / "results" / "textures-all.json").read_text())
    assert result["task"] == "discover"
    assert 0.5 <= result["scores"]["accuracy"] <= 1
    assert result["diagnostics"]["clusters"] == 2


def test_a_finished_run_is_not_trained_again(
    discovered: Path, textures: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(discovered, tmp_path / "run")
    before = (run / "weights.safetensors").read_bytes()
    answer = cli("discover", textures, "--run", run, "--masks", "folder", *WORDS)
    assert answer.code == 0, answer.err
    assert "is finished already" in answer.err
    assert (run / "weights.safetensors").read_bytes() == before


def test_predict_spares_images_and_class_lists(
    discovered: Path, textures: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(textures / "images", data / "labels")
    before = {path: path.read_bytes() for path in data.rglob("*.*")}
    answer = cli("predict", discovered, data / "labels", "--out", data)
    refused(answer, f"{data}/labels/00.png would be overwritten", "--out")
    (data / "classes.csv").write_text("name,id,colour,target\n")
    answer = cli("predict", discovered, textures / "images" / "00.png", "--out", data)
    refused(answer, f"{data}/classes.csv", "would be overwritten", "--out")
    (data / "classes.csv").unlink()
    assert {path: path.read_bytes() for path in data.rglob("*.*")} == before
    for _ in range(2):  # its own answers may be replaced
        answer = cli("predict", discovered, textures / "images" / "00.png", "--out", tmp_path / "o")
        assert answer.code == 0, answer.err


def test_predict_divides_new_images_as_the_old_ones(
    discovered: Path, textures: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(textures / "images", tmp_path / "photos")
    Image.new("L", (33, 91), 9).save(photos / "new.png")
    (photos / "broken.jpg").write_text("hello")
    answer = cli("predict", discovered, photos, "--out", tmp_path / "out")
    refused(answer, "1 of 10 images could not be read")
    assert "broken.jpg" in answer.err
    for name in ("00", "05"):
        old = read(discovered / "labels" / "images" / f"{name}.png")
        new = read(tmp_path / "out" / "labels" / f"{name}.png")
        np.testing.assert_array_equal(new, old)
    assert read(tmp_path / "out" / "labels" / "new.png").shape == (91, 33)
    assert len(rows(tmp_path / "out" / "regions.csv")) == 9


def test_evaluate_compare_and_suggest(discovered: Path, textures: Path, tmp_path: Path) -> None:
    run = shutil.copytree(discovered, tmp_path / "one")
    other = shutil.copytree(discovered, tmp_path / "two")
    answer = cli("evaluate", run)
    assert answer.code == 0, answer.err
    first = json.loads((discovered / "results" / "textures-all.json").read_text())
    again = json.loads((run / "results" / "textures-all.json").read_text())
    assert again["scores"] == first["scores"]
    answer = cli("compare", run, other, "--out", tmp_path / "page.html")
    assert answer.code == 0, answer.err
    assert "Discoveries of textures, all" in (tmp_path / "page.html").read_text()
    answer = cli("suggest", run, "--number", "2")
    assert answer.code == 0, answer.err
    asked = [row["file"] for row in rows(run / "to_label.csv")]
    assert len(set(asked)) == 2
    answer = cli("evaluate", run, "--labelled", run / "to_label.csv")
    assert answer.code == 0, answer.err
    named = json.loads((run / "results" / "textures-all-named-by-to_label.json").read_text())
    assert named["what"]["clusters"] == 4
    assert named["scores"]["labelled"] == 2


def test_plain_folders_with_masks_beside_them(textures: Path, tmp_path: Path) -> None:
    photos = shutil.copytree(textures / "images", tmp_path / "photos")
    (photos / "broken.png").write_text("hello")
    answer = cli("discover", photos, "--run", tmp_path / "run", *WORDS)
    assert answer.code == 0, answer.err
    assert "broken.png cannot be read" in answer.err or "is not an image" in answer.err
    assert list(rows(tmp_path / "run" / "regions.csv")[0]) == ["file", "region 0", "region 1"]
    refused(cli("evaluate", tmp_path / "run"), "give their folder with --masks")
    answer = cli("evaluate", tmp_path / "run", "--masks", textures / "masks")
    assert answer.code == 0, answer.err
    assert "photos-all-by-masks.json" in answer.err


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classes": "1"}, ("classes=1 is out of range",)),
        ({"classes": "some"}, ("some",)),
        ({"backbone": "vgg-segg"}, ("did you mean 'vgg-seg'",)),
        ({"augment_options.spin": "3"}, ("no setting 'spin'",)),
        ({"steps": "0"}, ("steps=0",)),
        ({"split": "holiday"}, ("no split 'holiday'",)),
        ({"masks": "nowhere"}, ("nowhere",)),
        ({"channels": "infrared"}, ("infrared",)),
        ({"precision": "half"}, ("precision='half'",)),
        ({"stepz": "3"}, ("Did you mean --steps",)),
    ],
)
def test_options_that_are_refused(
    changes: dict[str, str], says: tuple[str, ...], textures: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "one"
    refused(cli("discover", textures, "--run", run, *options(**changes)), *says)
    assert not run.parent.exists()


def keep(count: int) -> Spoil:
    def spoil(data: Path) -> None:
        for path in [*sorted(data.glob("*/*.png"))]:
            if int(path.stem) >= count:
                path.unlink()

    return spoil


def plain(data: Path) -> None:
    for path in data.glob("images/*.png"):
        Image.new("RGB", (64, 48), (9, 9, 9)).save(path)


def other_size(data: Path) -> None:
    Image.new("L", (9, 9)).save(data / "masks" / "03.png")


def other_ids(data: Path) -> None:
    Image.new("L", (64, 48), 7).save(data / "masks" / "03.png")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no such folder"),
        (keep(0), "are empty"),
        (keep(1), "1 image is too few"),
        (plain, "all images are of one colour"),
        (other_size, "its mask has 9x9 pixels, the image 48x64"),
        (other_ids, "id 7"),
    ],
)
def test_images_that_cannot_be_divided(
    spoil: Spoil, says: str, textures: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(textures, tmp_path / "data")
    spoil(data)
    run = tmp_path / "runs" / "one"
    refused(cli("discover", data, "--run", run, "--masks", "folder", *WORDS), says)
    assert not run.parent.exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (remove("state.json"), "is not finished"),
        (write("state.json", "{"), "state.json"),
        (replace("config.yaml", "steps:", "stepz:"), "stepz"),
        (replace("config.yaml", "seed: 0", "seed: 1"), "(seed: 0 then, 1 now)"),
        (replace("config.yaml", "task: discover", "task: cooking"), "cooking"),
        (write("weights.safetensors", "no tensors"), "is not as the training wrote it"),
        (replace("state.json", '"width": 2', '"width": 3'), "state.json has been changed"),
    ],
)
def test_spoiled_runs(
    spoil: Spoil, says: str, discovered: Path, textures: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(discovered, tmp_path / "run")
    spoil(run)
    refused(cli("predict", run, textures / "images", "--out", tmp_path / "out"), says)
    assert not (tmp_path / "out").exists()


def test_other_commands_refuse(
    discovered: Path, grouped: Path, textures: Path, tmp_path: Path
) -> None:
    refused(cli("compare", discovered, grouped), "runs of different tasks")
    refused(cli("suggest", discovered, "--number", "99"), "number=99", "8 images")
    refused(cli("evaluate", discovered, "--split", "holiday"), "'holiday'")
    refused(cli("evaluate", grouped, "--masks", "folder"), "--masks is of no use here")
    table = tmp_path / "some.csv"
    table.write_text("file\nimages/77.png\n")
    refused(cli("evaluate", discovered, "--labelled", table), "no image 'images/77.png'")
    table.write_text("file\n")
    refused(cli("evaluate", discovered, "--labelled", table), "names 0 of 8 images")


def test_help_answers() -> None:
    assert cli("discover", "--help").code == 0


def test_a_few_strokes_name_the_finer_regions(
    discovered: Path, textures: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(discovered, tmp_path / "run")
    masks, out = tmp_path / "masks", tmp_path / "out"
    (masks / "images").mkdir(parents=True)
    for name in ("00", "01"):
        whole = read(textures / "masks" / f"{name}.png")
        strokes = np.full_like(whole, 255)
        strokes[20:24] = 3 + 4 * whole[20:24]  # other ids than any region has
        Image.fromarray(strokes).save(masks / "images" / f"{name}.png")
    (masks / "classes.csv").write_text(
        "name,id,colour,target\nnight,3,#202020,no\nday,7,#f0f0f0,no\n"
    )
    answer = cli("predict", run, textures / "images", "--masks", masks, "--out", out)
    assert answer.code == 0, answer.err
    assert "named by 2 masks: night, day" in answer.err
    assert [row["name"] for row in rows(out / "classes.csv")] == ["night", "day"]
    finer = DiscoverRun.load(run)
    counts = np.zeros((finer.config.overclasses, 2), np.int64)
    overcluster = {}
    for path in sorted((textures / "images").iterdir()):
        overcluster[path.stem] = discover_labels(finer, path, "overcluster")
        if path.stem in ("00", "01"):
            truth = read(textures / "masks" / f"{path.stem}.png")[20:24]
            np.add.at(counts, (overcluster[path.stem][20:24], truth), 1)
    seen = counts.sum(1) > 0
    for row in rows(out / "regions.csv"):
        stem = Path(row["file"]).stem
        labels = read(out / "labels" / f"{stem}.png")
        expected = np.array([3, 7])[counts.argmax(1)][overcluster[stem]]
        known = seen[overcluster[stem]]  # the others are the most frequent class
        assert (labels[known] == expected[known]).all()
        assert float(row["day"]) == pytest.approx((labels == 7).mean(), abs=1e-3)
    (run / "to_label.csv").write_text("file\nimages/00.png\nimages/01.png\n")
    asked = ("evaluate", run, "--masks", masks, "--labelled", run / "to_label.csv")
    refused(cli(*asked), "none to score on", "frugalseg predict")
    shutil.rmtree(masks / "images")
    asked = ("predict", run, textures / "images", "--masks", masks, "--out", tmp_path / "no")
    refused(cli(*asked), "no mask in it has the name of an image")
    assert not (tmp_path / "no").exists()


def test_predictions_spare_what_the_run_has_written(
    discovered: Path, textures: Path, tmp_path: Path
) -> None:
    before = (discovered / "classes.csv").read_bytes()
    asked = ("predict", discovered, textures / "images")
    for more in ((), ("--masks", "folder")):
        refused(cli(*asked, "--out", discovered, *more), "classes.csv", "would be overwritten")
    assert (discovered / "classes.csv").read_bytes() == before
    masks = tmp_path / "kept" / "labels"
    shutil.copytree(textures / "masks", masks / "images")
    shutil.copy(textures / "classes.csv", masks)
    answer = cli("predict", discovered, textures, "--masks", masks, "--out", tmp_path / "kept")
    refused(answer, "00.png", "overwrit")


def test_masks_of_images_that_were_not_learned_from_name_nothing(
    textures: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(textures, tmp_path / "data")
    for kind in ("images", "masks"):
        for i, path in enumerate(sorted((data / kind).iterdir())):
            split = data / kind / ("train" if i < 6 else "val")
            split.mkdir(exist_ok=True)
            path.rename(split / path.name)
    run = tmp_path / "run"
    assert cli("discover", data, "--run", run, *WORDS, "--split", "train").code == 0
    asked = ("predict", run, data / "images" / "val", "--masks", "folder", "--out")
    assert "named by 6 masks" in cli(*asked, tmp_path / "one").err
    shutil.rmtree(data / "masks" / "train")
    (data / "masks" / "train").mkdir()
    refused(cli(*asked, tmp_path / "two"), "no image has a mask")


def test_a_run_without_finer_regions_has_none_to_name(textures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert cli("discover", textures, "--run", run, *options(head_order="main")).code == 0
    for words in (
        ("predict", run, textures / "images", "--masks", "folder"),
        ("suggest", run, "--number", "2"),
    ):
        refused(cli(*words), "has no finer regions")
