import os
import socket
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from frugalseg.data.layouts.listing import NO_FILES, files_below, others_sentence, places_of
from frugalseg.data.layouts.photographs import list_images
from frugalseg.data.open_images import open_images
from frugalseg.errors import FrugalsegError
from odd_files import scene

PNG = frozenset({".png"})


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_a_folder_is_listed_once_however_many_links_lead_to_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root / "b.png", root / "deep" / "a.png", tmp_path / "beside" / "c.png")
    (root / "again").symlink_to(".")
    (root / "deep" / "up").symlink_to("../..")  # above the root: not entered
    (root / "a_link").symlink_to("deep")  # sorts before the folder itself
    (root / "other").symlink_to("../beside")
    expected = [root / "b.png", root / "deep" / "a.png", root / "other" / "c.png"]
    assert files_below(root, PNG) == expected
    (tmp_path / "link").symlink_to("root")
    assert [path.name for path in files_below(tmp_path / "link", PNG)] == [
        "b.png",
        "a.png",
        "c.png",
    ]


def test_links_to_files_are_files_and_broken_links_are_listed(tmp_path: Path) -> None:
    touch(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "c.png").symlink_to("nowhere.png")  # reading it says so
    (tmp_path / "d.png").symlink_to("d.png")
    assert [path.name for path in files_below(tmp_path, PNG)] == [f"{x}.png" for x in "abcd"]


def test_what_is_left_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(*(tmp_path / name for name in ("a.PNG", "b.npy", "x/c.NPY", "d.dcm", "e", "labels.csv")))
    touch(tmp_path / ".hidden.npy", tmp_path / ".git" / "f.npy")
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.png")
        others: Counter[str] = Counter()
        assert files_below(tmp_path, PNG, others) == [tmp_path / "a.PNG"]
    assert others == {".npy": 2, ".dcm": 1, "without a suffix": 1, NO_FILES: 2}
    (sentence,) = others_sentence(tmp_path, others)
    assert "6 files of other kinds left out: .npy 2" in sentence
    assert others_sentence(tmp_path, Counter()) == []


def test_places_of_names_in_any_unicode_form() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Bäume") for form in ("NFC", "NFD"))
    assert composed != decomposed
    places = places_of([f"a/{decomposed}.png", "b/x.png", "c/x.png", "c/y.v2.png"])
    for form in (f"a/{composed}.png", f"a/{composed}", f"{composed}.png", composed):
        assert places[form] == 0
    assert places["b/x"] == 1
    assert "x" not in places  # there are two
    assert places["y.v2"] == 3


def test_label_tables_and_images_may_differ_in_unicode_form(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    names = [unicodedata.normalize("NFD", f"{tree}.png") for tree in ("Bäume", "Äste")]
    for i, name in enumerate(names):
        Image.fromarray(scene(i)[0]).save(folder / name)
    table = tmp_path / "labels.csv"
    table.write_text(unicodedata.normalize("NFC", "file,label\nBäume.png,x\nÄste,y\n"), "utf-8")
    images = open_images(folder, table)
    assert images.labels is not None
    assert {n: images.class_names[i] for n, i in zip(images.names, images.labels, strict=True)} == {
        names[0]: "x",
        names[1]: "y",
    }


def test_patterns_follow_no_links_to_folders(tmp_path: Path) -> None:
    touch(tmp_path / "a.png", tmp_path / "deep" / "b.png", tmp_path / "deep" / ".c.png")
    for name in ("one", "two"):  # two loops: 2 ** 40 paths
        (tmp_path / name).symlink_to(".")
    expected = [tmp_path / "a.png", tmp_path / "deep" / "b.png"]
    assert list_images(f"{tmp_path}/**/*.png") == expected
    assert list_images(f"{tmp_path}/**") == expected
    assert list_images(f"{tmp_path}/d*/[ab].png") == expected[1:]


def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrugalsegError, match=r"none cannot be read"):
        files_below(tmp_path / "none", PNG)
