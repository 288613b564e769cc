"""Scores that say what they are scores of: classes, images, and what is missing."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from frugalseg.engine.results import read_result
from frugalseg.tasks.segment.evaluate import RESULT
from frugalseg.tasks.segment.report import write_comparison
from odd_files import CLASSES, write_folder
from pages import Page
from tiny import TINY, cli, refused


def change(folder: Path, table: dict[int, int]) -> Path:
    """Replace ids in all masks."""
    for path in sorted((folder / "masks").rglob("*.png")):
        mask = np.array(Image.open(path))
        changed = mask.copy()
        for old, new in table.items():
            changed[mask == old] = new
        Image.fromarray(changed).save(path)
    return folder


def ids(folder: Path) -> NDArray[np.uint8]:
    return np.concatenate([np.array(Image.open(p)).ravel() for p in sorted(folder.glob("s*.png"))])


def scored(run: Path, name: str) -> tuple[dict, dict]:
    plain = json.loads((run / "results" / f"{name}.json").read_text())
    return plain["what"], plain["scores"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_folder(tmp_path_factory.mktemp("data") / "own", 5)
    (folder / "classes.csv").write_text(CLASSES)
    return folder


@pytest.fixture(scope="module")
def run(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has seen a few steps only: it takes much for balls."""
    run = tmp_path_factory.mktemp("runs") / "run"
    answer = cli("segment", own, "--run", run, "--sampler", "uniform", *TINY)
    assert answer.code == 0, answer.err
    return run


@pytest.mark.parametrize(
    ("table", "listed", "ignore"),
    [
        ({1: 0, 2: 0}, False, ()),
        ({0: 255, 1: 255, 2: 1}, False, ()),
        ({1: 0, 2: 1}, False, ("--ignore", "0")),
        ({1: 0, 2: 0}, True, ()),
    ],
    ids=["zeros", "background 255", "background ignored", "three listed, one there"],
)
def test_one_class_alone_is_refused(
    tmp_path: Path, table: dict[int, int], listed: bool, ignore: tuple[str, ...]
) -> None:
    folder = change(write_folder(tmp_path / "data", 4), table)
    if listed:
        (folder / "classes.csv").write_text(CLASSES)
    says = "so there is nothing to tell apart: give the background"
    answer = cli("check", folder, *ignore)
    refused(answer, "has 1 problem (above)")
    assert says in answer.out
    refused(cli("segment", folder, "--run", tmp_path / "run", *TINY, *ignore), str(folder), says)
    assert not (tmp_path / "run").exists()


def test_absent_classes_confusion_and_whole_folders(run: Path, tmp_path: Path) -> None:
    """Counted again by scikit-learn from the files that `predict` writes."""
    folder = change(write_folder(tmp_path / "balls", 4, seed=200), {2: 255, 0: 1})
    answer = cli("evaluate", run, "--data", folder)
    assert answer.code == 0, answer.err
    assert f"{folder} has no class list: its masks are read by the classes of {run}." in answer.err
    what, scores = scored(run, "balls-all")
    assert (what["images"], what["split"]) == (4, "all")
    cells = [line.split(" | ") for line in answer.out.splitlines()[:3]]
    assert cells[2][cells[0].index("images")] == "4"

    assert cli("predict", run, folder / "images", "--out", tmp_path / "out").code == 0
    truth, predicted = ids(folder / "masks"), ids(tmp_path / "out")
    pair = truth[truth != 255], predicted[truth != 255]
    assert scores["class_names"] == ["ground", "sky", "ball"]
    matrix = confusion_matrix(*pair, labels=range(3))
    assert scores["confusion"] == matrix.tolist()
    assert scores["absent"] == ["ground", "ball"]
    iou = jaccard_score(*pair, labels=[1], average="macro")
    assert scores["miou"]["all"] == pytest.approx(iou)
    either = jaccard_score(*pair, average="macro")
    assert scores["miou_true_or_predicted"]["all"] == pytest.approx(either)
    wrong = {"ground": matrix[1, 0], "sky": 0, "ball": matrix[1, 2]}
    assert scores["false_pixels"] == wrong
    assert max(wrong.values()) > 0
    for name in (name for name, count in wrong.items() if count):
        assert f"{name:20s} absent, but {wrong[name]:,} pixels are wrongly given" in answer.out
    assert f"occur in the truth: {iou:.3f} (in the table)" in answer.out
    assert f"in the truth or the answers: {either:.3f}" in answer.out
    page = tmp_path / "page.html"
    write_comparison([read_result(run / "results" / "balls-all.json", RESULT)], [], page)
    rows = {row[0]: row[1] for row in Page(page.read_text()).tables["iou"]}
    for name, target in (("ground", ""), ("ball", " target")):
        cell = f"absent {wrong[name]:,} pixels wrongly given to it" if wrong[name] else "none"
        assert rows[name + target] == cell
    # a truth of one class is scored, with a word
    assert "that are not ignored are sky, so there is nothing to tell apart" in answer.err


def test_which_images_are_scored(run: Path, own: Path, tmp_path: Path) -> None:
    assert cli("evaluate", run, "--data", own).code == 0  # its own: as without --data
    assert scored(run, "own-val")[0]["images"] == 1
    assert cli("evaluate", run, "--split", "all").code == 0
    assert scored(run, "own-all")[0]["images"] == 5
    page = tmp_path / "page.html"
    assert cli("compare", run, "--split", "all", "--out", page).code == 0
    assert "on own, all" in page.read_text()

    single = write_folder(tmp_path / "single", 1)
    assert cli("evaluate", run, "--data", single).code == 0
    assert scored(run, "single-all")[0]["images"] == 1
    for kind in ("train", "val"):
        part = write_folder(tmp_path / "parts" / kind, 2 + (kind == "val"))
        one = write_folder(tmp_path / f"only_{kind}" / kind, 2)
        assert cli("evaluate", run, "--data", one.parent).code == 0
        assert scored(run, f"only_{kind}-all")[0]["images"] == 2
    assert cli("evaluate", run, "--data", part.parent).code == 0
    assert scored(run, "parts-val")[0]["images"] == 3
    change(part, {0: 255, 1: 255, 2: 255})
    says = f"no pixel of the masks of {part.parent} (val) has a class"
    refused(cli("evaluate", run, "--data", part.parent), says)


def test_the_page_shows_confusion_and_both_means(run: Path) -> None:
    page = Page((run / "report.html").read_text())
    scores = scored(run, "own-val")[1]
    header, *rows = page.tables["confusion"]
    assert header == ["truth", "ground", "sky", "ball"]
    shares = np.array(scores["confusion"]) / np.sum(scores["confusion"], 1, keepdims=True)
    for row, share in zip(rows, shares, strict=True):
        assert row[1:] == [f"{s:.0%}" if s >= 0.005 else "" for s in share]
    iou = {row[0]: row[1] for row in page.tables["iou"]}
    either = scores["miou_true_or_predicted"]["all"]
    assert iou["mean of all that are true or predicted"] == f"{either:.3f}"


def test_classes_that_do_not_fit_are_named(run: Path, tmp_path: Path) -> None:
    folder = change(write_folder(tmp_path / "data", 3), {2: 7})
    says = (
        f"id 7 ({np.sum(ids(folder / 'masks')[: 96 * 128] == 7)} pixels) is not in the class list"
    )
    refused(cli("evaluate", run, "--data", folder), "s00.png", says, f"is that of {run}, because")
    swapped = "\n".join(np.array(CLASSES.splitlines())[[0, 2, 1, 3]])
    for text, difference in (
        (CLASSES.replace("ball", "tree"), "it lacks ball and adds tree."),
        (CLASSES + "tree,7,#000000,no\n", "it adds tree."),
        (swapped, "it has them in another order."),
    ):
        (folder / "classes.csv").write_text(text)
        says = (f"{folder} has other classes than the run {run}", difference, "copy that file")
        refused(cli("evaluate", run, "--data", folder), *says)
