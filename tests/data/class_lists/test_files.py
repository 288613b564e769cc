"""Class lists as other tools and spreadsheets write them."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.check import check_folder
from frugalseg.data.class_lists.classes import ClassList, read_classes
from frugalseg.data.class_lists.files import CLASS_FILES
from frugalseg.data.colour_masks import suggest_classes
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.masks import read_mask
from frugalseg.errors import FrugalsegError
from odd_files import CLASSES, COLOURS, scene, write_folder

OTHERS = {
    "class_dict.csv": "name,r,g,b\nground,110,110,100\nsky,60,90,200\nball,210,40,40\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\n"
    "ground:110,110,100::\nsky:60,90,200::\nball:210,40,40::\n",
    "label_colors.txt": "110 110 100\tground\n60 90 200\tsky\n\n210 40 40   ball\n",
    "meta.json": '{"classes":[{"title":"ground","shape":"bitmap","color":"#6E6E64"},'
    '{"title":"sky","color":"#3C5AC8"},{"title":"box","shape":"rectangle","color":"#000000"},'
    '{"title":"ball","color":"#D22828"}]}',
}


def facts(classes: ClassList) -> list[tuple[str, int, tuple[int, int, int]]]:
    return [(c.name, c.id, c.colour) for c in classes.classes]


@pytest.fixture
def expected(tmp_path: Path) -> ClassList:
    path = tmp_path / "expected.csv"
    path.write_text(CLASSES)
    return read_classes(path)


@pytest.mark.parametrize(
    "content",
    [
        CLASSES.replace("colour", "color").encode(),
        CLASSES.replace(",", ";").encode(),
        CLASSES.replace(",", "\t").encode(),
        CLASSES.encode("utf-16"),
        CLASSES.replace("\n", "\r\n").encode("utf-8-sig"),
        CLASSES.replace(",no", ",False").replace(",yes", ",TRUE").encode(),
        CLASSES.replace("0,#", "0.0,#").replace("1,#", "1.0,#").encode(),
        CLASSES.replace("#6e6e64", '"110,110,100"').replace("#3c5ac8", "(60 90 200)").encode(),
        b"Name;R;G;B;id;target\nground;110;110;100;0;no\nsky;60;90;200;1;no\nball;210;40;40;2;yes",
    ],
)
def test_tables_of_every_kind(content: bytes, tmp_path: Path, expected: ClassList) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes(content)
    classes = read_classes(path)
    assert facts(classes) == facts(expected)
    assert classes.targets == [2]


def test_names_in_a_code_page(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_bytes(CLASSES.replace("ground", "straße").encode("cp1252"))
    assert read_classes(path).names == ("straße", "sky", "ball")


@pytest.mark.parametrize("name", OTHERS)
def test_lists_of_other_tools_are_found(
    name: str, tmp_path: Path, expected: ClassList, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(tmp_path / "data", 3, (32, 40))
    for path in (root / "masks").iterdir():
        Image.fromarray(COLOURS[np.asarray(Image.open(path))]).save(path)
    (root / name).write_text(OTHERS[name])
    with caplog.at_level(logging.INFO, "frugalseg"):
        data = open_folder(root)
    assert facts(data.classes) == facts(expected)
    assert data.classes.targets == []
    said = caplog.text
    assert f"The classes are those of {root / name}." in said
    assert "gives no ids: they follow its order (ground 0, sky 1, ball 2)" in said
    assert "marks no targets (column 'target'): all classes count alike" in said
    for sample in data.samples:
        assert sample.mask is not None
        seed = int(sample.name[1:])
        assert (read_mask(sample.mask, data.classes) == scene(seed, 32, 40)[1]).all()
    (root / "classes.csv").write_text(CLASSES)  # ours comes first
    assert open_folder(root).classes.targets == [2]


def test_a_list_without_colours(tmp_path: Path) -> None:
    root = write_folder(tmp_path, 3, (32, 40))
    (root / "_classes.csv").write_text("Pixel Value, Class\n0, ground\n1, sky\n2, ball\n")
    classes = open_folder(root).classes
    assert [(c.name, c.id) for c in classes.classes] == [("ground", 0), ("sky", 1), ("ball", 2)]
    assert len({c.colour for c in classes.classes}) == 3


def test_other_files_of_these_names_are_no_lists(tmp_path: Path) -> None:
    root = write_folder(tmp_path, 3, (32, 40))
    assert "meta.json" in CLASS_FILES
    (root / "meta.json").write_text('{"classes": 3}')
    assert open_folder(root).classes.names == ("class_0", "class_1", "class_2")
    (root / "labelmap.txt").write_text("ground\nsky\n")
    with pytest.raises(FrugalsegError, match=r"labelmap\.txt, line 1: 'ground' is neither"):
        open_folder(root)


def test_colours_without_a_list_are_listed(tmp_path: Path) -> None:
    root = write_folder(tmp_path, 4, (32, 40))
    total = np.zeros(3, int)
    for path in (root / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        total += np.bincount(mask.ravel(), minlength=3)
        Image.fromarray(COLOURS[mask]).save(path)
    order = np.argsort(-total)
    (hint,) = check_folder(root).hints
    assert hint.startswith("The masks hold 3 colours. As a classes.csv, by frequency")
    table = hint.split("\n", 1)[1]
    assert [line.split(",")[2] for line in table.splitlines()[1:]] == [
        "#{:02x}{:02x}{:02x}".format(*COLOURS[i]) for i in order
    ]
    (root / "classes.csv").write_text(table)
    report = check_folder(root)
    assert report.problems == ()
    assert report.classes[0].images == 4


def test_only_the_most_frequent_of_many_colours_are_listed(tmp_path: Path) -> None:
    noise = np.zeros((8, 8, 3), np.uint8)
    noise[..., 0] = np.arange(64).reshape(8, 8)
    noise[0, :5] = 77
    Image.fromarray(noise).save(tmp_path / "a.png")
    text = suggest_classes([tmp_path / "a.png", tmp_path / "none.png"])
    assert text is not None
    assert "The masks hold 60 colours. As a classes.csv, the 20 most frequent" in text
    assert len(text.splitlines()) == 22
    assert text.splitlines()[2] == "class_0,0,#4d4d4d,no"
    Image.fromarray(noise[..., 0]).save(tmp_path / "b.png")
    assert suggest_classes([tmp_path / "b.png"]) is None


def test_colours_of_thousands_of_digits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "classes.csv"
    path.write_text(f'name,id,colour,target\na,0,"{"1" * 5000},2,3",no\n')
    with pytest.raises(FrugalsegError, match=r"line 2: the colour .* is not of the form"):
        read_classes(path)
