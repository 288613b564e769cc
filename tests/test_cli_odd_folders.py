"""What is guessed or left out of a folder is said by every command that reads it."""

from pathlib import Path

import pytest

from odd_files import CLASSES, write_folder
from tiny import CLUSTERS, TINY, cli, refused

MARKED = "masks are paired by a constant part of their names, s00.png with s00_gt.png"
LEFT = "1 file of another kind left out: .heic 1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folders of other names, masks of marked names, a class list of another tool."""
    root = write_folder(tmp_path / "data", 6, (32, 48))
    (root / "classes.csv").write_text(CLASSES)
    (root / "images").rename(root / "photos_x")
    (root / "photos_x" / "a.heic").touch()
    (root / "masks").rename(root / "truth_x")
    for path in (root / "truth_x").iterdir():
        path.rename(path.with_name(f"{path.stem}_gt.png"))
    return root


def test_segmentation_with_named_folders(folder: Path, tmp_path: Path) -> None:
    refused(cli("segment", folder, *TINY), "--images DIR --masks DIR")
    named = ("--images", "photos_x", "--masks", folder / "truth_x")
    answer = cli("check", folder, *named)
    assert answer.code == 0, answer.err
    assert MARKED in answer.out
    assert LEFT in answer.out
    run = tmp_path / "run"
    answer = cli("segment", folder, *named, "--run", run, *TINY)
    assert answer.code == 0, answer.err
    assert MARKED in answer.err
    assert LEFT in answer.err
    assert cli("evaluate", run).code == 0
    # the run's folders are not looked for in other data
    other = write_folder(tmp_path / "other", 4, (32, 48), seed=50)
    (other / "classes.csv").write_text(CLASSES)
    assert cli("evaluate", run, "--data", other).code == 0
    (other / "masks").rename(other / "truth_y")
    refused(cli("evaluate", run, "--data", other), "it holds no images with masks")
    answer = cli("evaluate", run, "--data", other, "--masks", "truth_y", "--images", "images")
    assert answer.code == 0, answer.err
    answer = cli("predict", run, folder / "photos_x", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert LEFT in answer.err
    assert "6 of 6 images predicted" in answer.err


def test_clusters_of_a_folder_with_masks(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 12, (32, 40))
    (root / "images" / "a.heic").touch()
    (root / "images" / "again").symlink_to("..")
    run = tmp_path / "run"
    answer = cli("cluster", root, "--run", run, *CLUSTERS)
    assert answer.code == 0, answer.err
    assert "data holds masks too: only the images are taken" in answer.err
    assert LEFT in answer.err
    names = [line.split(",")[0] for line in (run / "assignments.csv").read_text().splitlines()]
    assert names[1:] == [f"images/s{i:02d}.png" for i in range(12)]
