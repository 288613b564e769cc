"""What users get wrong with clusterings: one clear sentence, exit code 2, nothing half-written."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tiny import CLUSTERS, Spoil, cli, refused, remove, replace, write, write_digits


def options(**changes: str) -> list[str]:
    """The tiny options, some of them changed; without those that are ''."""
    known = dict(zip(CLUSTERS[::2], CLUSTERS[1::2], strict=True))
    known |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [word for pair in known.items() if pair[1] for word in pair]


@pytest.fixture
def data(digits: Path, tmp_path: Path) -> Path:
    """Digits that a test may spoil."""
    return shutil.copytree(digits, tmp_path / "data")


def keep(count: int) -> Spoil:
    def spoil(data: Path) -> None:
        for path in sorted(data.glob("*/*.png"))[count:]:
            path.unlink()

    return spoil


def all_equal(data: Path) -> None:
    for path in data.glob("*/*.png"):
        Image.new("L", (8, 8), 90).save(path)


def all_broken(data: Path) -> None:
    for path in data.glob("*/*.png"):
        path.write_text("hello")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no such folder"),
        (keep(0), "there is no image in it or below it"),
        (keep(1), "cannot form 3 clusters"),
        (keep(2), "2 images cannot form 3 clusters"),
        (all_equal, "all 36 images look the same"),
        (all_broken, "none of 36 images can be read"),
    ],
)
def test_images_that_cannot_be_grouped(spoil: Spoil, says: str, data: Path, tmp_path: Path) -> None:
    spoil(data)
    run = tmp_path / "runs" / "one"
    refused(cli("cluster", data, "--run", run, *options()), says)
    assert not run.parent.exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"clusters": "1"}, ("clusters=1 is out of range", "at least 2")),
        ({"clusters": "-3"}, ("clusters=-3",)),
        ({"clusters": "some"}, ("some",)),
        ({"clusters": "20"}, ("12 images cannot tell 20 clusters apart", "--batch-size 40")),
        ({"overclusters": "30"}, ("12 images cannot tell 30 clusters apart", "--batch-size 60")),
        ({"clusters": "50", "overclusters": "50"}, ("36 images cannot form 50 clusters",)),
        ({"backbone": "vgg-iicc"}, ("vgg-iic",)),
        ({"augment": "mnits"}, ("mnist",)),
        ({"augment_options.rotatoin": "3"}, ("rotatoin",)),
        ({"augment_options.hue": "3"}, ("hue",)),
        ({"steps": "0"}, ("steps=0",)),
        ({"steps": "few"}, ("few",)),
        ({"learning_rate": "-1"}, ("learning_rate=-1",)),
        ({"sub_heads": "0"}, ("sub_heads=0",)),
        ({"restarts": "0"}, ("restarts=0",)),
        ({"num_views": "0"}, ("num_views=0",)),
        ({"split": "holiday"}, ("'holiday'", "all")),
        ({"head_order": "overcluster"}, ("--head-order",)),
        ({"labels": "nowhere.csv"}, ("nowhere.csv cannot be read",)),
        ({"precision": "half"}, ("precision='half'",)),
        ({"stepz": "3"}, ("Did you mean --steps",)),
        ({"config": "nowhere.yaml"}, ("nowhere.yaml",)),
    ],
)
def test_options_that_are_refused(
    changes: dict[str, str], says: tuple[str, ...], digits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "one"
    refused(cli("cluster", digits, "--run", run, *options(**changes)), *says)
    assert not run.parent.exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\n0/0000.png,a\n7/0000.png,b\nx.png,b\n", "names 2 files that"),
        ("file,label\n0/0000.png,a\n0/0000,b\n", "line 3"),
        ("file,label\n", "labels no image"),
        ("word,label\n", "no column 'file'"),
    ],
)
def test_label_files_that_do_not_fit(
    text: str, says: str, digits: Path, grouped: Path, tmp_path: Path
) -> None:
    table, run = tmp_path / "labels.csv", tmp_path / "runs" / "one"
    table.write_text(text)
    refused(cli("cluster", digits, "--run", run, *options(labels=str(table))), says)
    assert not run.parent.exists()
    before = sorted(grouped.rglob("*"))
    refused(cli("evaluate", grouped, "--labels", table), says)
    assert sorted(grouped.rglob("*")) == before


def test_missing_labels_and_small_batches_are_said(digits: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n0/0000.png,a\n1/0001.png,b\n")
    words = options(labels=str(table), overclusters="10", num_views="1", steps="1")
    answer = cli("cluster", digits, "--run", tmp_path / "run", *words)
    assert answer.code == 0, answer.err
    assert "34 of 36 images are unlabelled" in answer.err
    assert "overclusters=10 is much for batches of 12 images" in answer.err


def test_runs_that_cannot_be_made(digits: Path, grouped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = cli("cluster", digits, "--run", tmp_path / "file" / "run", *options())
    refused(answer, "file is a file", "--run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    answer = cli("cluster", digits, "--run", tmp_path / "full", *options())
    refused(answer, "is not empty and is no run")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.txt"]
    answer = cli("cluster", digits, "--run", grouped, *options(labels="folders", steps="9"))
    refused(answer, "other settings (steps: 4 there, 9 asked)")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no such run"),
        (remove("config.yaml"), "no config.yaml"),
        (remove("state.json"), "is not finished"),
        (remove("weights.safetensors"), "is not finished"),
        (write("state.json", "{"), "state.json"),
        (write("state.json", "[]"), "state.json"),
        (write("config.yaml", "a: ["), "config.yaml cannot be read"),
        (replace("config.yaml", "steps:", "stepz:"), "stepz"),
        (replace("config.yaml", "seed: 0", "seed: 1"), "(seed: 0 then, 1 now)"),
        (replace("config.yaml", "task: cluster", "task: cooking"), "cooking"),
        (write("weights.safetensors", "no tensors"), "is not as the training wrote it"),
        (replace("state.json", '"width": 2', '"width": 3'), "state.json has been changed"),
    ],
)
def test_spoiled_runs(spoil: Spoil, says: str, grouped: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(grouped, tmp_path / "run")
    spoil(run)
    refused(cli("predict", run, digits, "--out", tmp_path / "out"), says)
    assert not (tmp_path / "out").exists()


def test_predict_refuses(grouped: Path, digits: Path, tmp_path: Path) -> None:
    refused(cli("predict", grouped, tmp_path / "none.jpg"), "there is no such file")
    (tmp_path / "empty").mkdir()
    refused(cli("predict", grouped, tmp_path / "empty"), "there is no image")
    one = digits / "0" / "0000.png"
    (tmp_path / "twice").mkdir()
    shutil.copy(one, tmp_path / "twice")
    refused(cli("predict", grouped, one, tmp_path / "twice"), "0000.png")
    (tmp_path / "file").touch()
    refused(cli("predict", grouped, one, "--out", tmp_path / "file"), "cannot be written")
    (tmp_path / "twice" / "broken.jpg").write_text("hello")
    answer = cli("predict", grouped, tmp_path / "twice", "--out", tmp_path / "out")
    refused(answer, "1 of 2 images could not be read")
    assert "broken.jpg" in answer.err
    assert len((tmp_path / "out" / "assignments.csv").read_text().splitlines()) == 2


def test_other_commands_refuse(
    grouped: Path, trained: dict[str, Path], digits: Path, tmp_path: Path
) -> None:
    other = trained["uniform"]
    refused(cli("compare", grouped, other), "runs of different tasks")
    refused(cli("compare", grouped, "--out", tmp_path / "page.pdf"), ".html")
    refused(cli("suggest", other), "there is nothing to suggest")
    refused(cli("evaluate", other, "--labels", "folders"), "--labels is of no use here")
    refused(cli("suggest", grouped, "--number", "0"), "number=0", "at least 1")
    refused(cli("suggest", grouped, "--number", "99"), "number=99")
    refused(cli("evaluate", grouped, "--split", "holiday"), "'holiday'")
    flat = tmp_path / "flat"
    write_digits(flat)
    for path in flat.glob("*/*.png"):
        path.rename(flat / f"{path.parent.name}_{path.name}")
    refused(cli("evaluate", grouped, "--data", flat), "has no labels", "--labels")
    moved = shutil.copytree(grouped, tmp_path / "moved")
    replace("config.yaml", f"data: {digits}", f"data: {flat}")(moved)
    refused(cli("compare", grouped, moved), "compare runs on one data set")
