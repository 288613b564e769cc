from pathlib import Path

import numpy as np
import pytest

from frugalseg.data.class_lists.classes import (
    ClassList,
    FineClass,
    SegmentationClass,
    ignored_ids,
    read_classes,
    write_classes,
)
from frugalseg.data.class_lists.palette import distinct_colours, region_colours
from frugalseg.data.class_lists.statistics import (
    area_and_edge,
    count_ids,
    infer_classes,
    small_or_thin,
)
from frugalseg.errors import FrugalsegError

HEADER = "name,id,colour,target\n"


def class_list(ids: list[int], ignored: tuple[int, ...] = ()) -> ClassList:
    colours = distinct_colours(len(ids))
    classes = [SegmentationClass(f"c{i}", i, rgb) for i, rgb in zip(ids, colours, strict=True)]
    return ClassList(tuple(classes), frozenset(ignored))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "classes.csv"
    path.write_text(text)
    return path


def test_reads_a_class_list(tmp_path: Path) -> None:
    text = (
        "id, name, target, colour, note\n7,road,no,#010203,x\n300,pole,YES,#0A0b0C\n"
        "2,rest,ignore,#ffffff\n9,Void,no,#fffffe\n\n"
    )
    classes = read_classes(write(tmp_path, "\ufeff" + text))
    assert classes.names == ("road", "pole")
    assert classes.num_classes == 2
    assert classes.targets == [1]
    assert classes.colours.tolist() == [[1, 2, 3], [10, 11, 12]]
    assert classes.ignored_ids == {2, 9}


def test_classes_are_ignored_by_name_and_by_id(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "a,0,#000000,no\nb,1,#000001,no\nc,2,#000002,no\n")
    assert read_classes(path, ignore=["b", 2]).names == ("a",)
    assert read_classes(path, ignore=["2", 17]).encode(np.array([0, 1, 2, 17])).tolist() == [
        0, 1, 255, 255,
    ]  # fmt: skip
    with pytest.raises(FrugalsegError, match=r"'d'.*a, b, c"):
        read_classes(path, ignore=["d"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column 'name'"),
        (HEADER, "empty"),
        (HEADER + "a,0,#000000,no\na,1,#000001,no\n", "line 3: the name a is that of class 'a'"),
        (HEADER + "a,0,#000000,no\nb,0,#000001,no\n", "line 3: the id 0 is that of class 'a'"),
        (HEADER + "a,0,#AA0000,no\nb,1,#aa0000,no\n", "line 3: the colour #aa0000 is that of"),
        (HEADER + "a,0,red,no\n", "line 2: the colour 'red'"),
        (HEADER + "a,0,#12345,no\n", "line 2: the colour '#12345'"),
        (HEADER + "a,-1,#000000,no\n", "line 2: the id '-1'"),
        (HEADER + "a,65536,#000000,no\n", "line 2: the id '65536'"),
        (HEADER + "a,x,#000000,no\n", "line 2: the id 'x'"),
        (HEADER + "a,0,#000000,maybe\n", "line 2: target is 'maybe'"),
        (HEADER + "a,0,#000000\n", "line 2: target is ''"),
        (HEADER + ",0,#000000,no\n", "line 2: the class has no name"),
        (HEADER + "void,0,#000000,no\n", "no class that is not ignored"),
    ],
)
def test_bad_class_lists_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FrugalsegError, match=message):
        read_classes(write(tmp_path, text))


def test_an_unreadable_class_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(FrugalsegError, match=r"none\.csv cannot be read"):
        read_classes(tmp_path / "none.csv")
    path = tmp_path / "classes.csv"
    path.write_bytes(b"\xff\xfea\x00b")  # half a character of UTF-16
    with pytest.raises(FrugalsegError, match=r"classes\.csv cannot be read"):
        read_classes(path)


@pytest.mark.parametrize("field", ["name", "id", "colour"])
def test_doubles_are_refused_in_code_too(field: str) -> None:
    other = {"name": "b", "id": 1, "colour": (1, 1, 1)} | {
        field: {"name": "a", "id": 0, "colour": (0, 0, 0)}[field]
    }
    with pytest.raises(FrugalsegError, match=f"the {field} .* twice"):
        ClassList((SegmentationClass("a", 0, (0, 0, 0)), SegmentationClass(**other)))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("ids", [[0, 1, 2], [3, 7, 200], [255, 0, 9]])
def test_encode_agrees_with_a_loop_and_decode_turns_back(ids: list[int], dtype: type) -> None:
    classes = class_list([*ids, 50], ignored=(50,))
    raw = np.random.default_rng(0).choice([*ids, 50, 255], (7, 5)).astype(dtype)
    expected = [[ids.index(v) if v in ids else 255 for v in row] for row in raw.tolist()]
    indices = classes.encode(raw)
    assert indices.dtype == np.uint8
    assert indices.tolist() == expected
    back = classes.decode(indices)
    assert back.dtype == np.uint8
    assert back.tolist() == [[v if v in ids else 255 for v in row] for row in raw.tolist()]


def test_ids_above_255_decode_to_16_bits() -> None:
    classes = class_list([1, 40000])
    ids = classes.decode(np.array([[0, 1, 255]], np.uint8))
    assert ids.dtype == np.uint16
    assert ids.tolist() == [[1, 40000, 255]]
    assert classes.encode(ids).tolist() == [[0, 1, 255]]


def test_decode_refuses_an_index_that_no_class_has() -> None:
    with pytest.raises(ValueError, match="index 2"):
        class_list([0, 1]).decode(np.array([2]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_unknown_ids_are_named_with_their_pixels(dtype: type) -> None:
    raw = np.array([[0, 7, 7], [9, 0, 1]], dtype)
    with pytest.raises(FrugalsegError, match=r"id 7 \(2 pixels\), 9 \(1 pixels\) is not in"):
        class_list([0, 1]).encode(raw)


def test_ids_outside_16_bits_are_unknown_not_wrapped() -> None:
    with pytest.raises(FrugalsegError, match=r"id -1 \(1 pixels\), 65536 \(1 pixels\)"):
        class_list([0, 65535]).encode(np.array([0, -1, 65536, 65535]))


def test_many_unknown_ids_hint_at_lossy_masks() -> None:
    with pytest.raises(FrugalsegError, match=r"and 5 more.*JPEG"):
        class_list([0, 1]).encode(np.arange(12))


def test_merged_ids_are_read_by_the_fine_list_alone() -> None:
    coarse = class_list([0, 3])
    fine = (FineClass(10, 0, (9, 9, 9)), FineClass(11, 3), FineClass(12, 3), FineClass(13, None))
    classes = ClassList(coarse.classes, frozenset(), fine)
    assert classes.encode(np.array([10, 11, 12, 13, 255])).tolist() == [0, 1, 1, 255, 255]
    assert classes.encode_colours(np.full((1, 1, 3), 9, np.uint8)).tolist() == [[0]]
    with pytest.raises(FrugalsegError, match="id 3 "):
        classes.encode(np.array([3]))


def test_writing_and_reading_a_class_list_turn_back(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "a,0,#000000,yes\nb,400,#0a0b0c,no\nvoid,3,#ffffff,no\n")
    classes = read_classes(path, ignore=[77])
    write_classes(classes, tmp_path / "new" / "classes.csv")
    again = read_classes(tmp_path / "new" / "classes.csv")
    assert again.names == classes.names
    assert again.targets == classes.targets
    assert again.ignored_ids == classes.ignored_ids == {3, 77}
    assert (again.colours == classes.colours).all()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["classes.csv"]


def test_targets_can_be_named_instead() -> None:
    classes = class_list([0, 1, 2], ignored=(2,)).with_targets(["c1"])
    assert classes.targets == [1]
    with pytest.raises(FrugalsegError, match=r"'c2' is not among the classes: c0, c1"):
        classes.with_targets(["c2"])


def test_too_many_classes_are_refused() -> None:
    assert class_list(list(range(254))).num_classes == 254
    with pytest.raises(FrugalsegError, match="255 classes"):
        class_list(list(range(255)))


def test_colours_are_all_different() -> None:
    for colours in (distinct_colours(300), region_colours(300)):
        assert len(set(colours)) == 300
    assert region_colours(3) == region_colours(254)[:3]


def test_classes_are_made_from_the_ids_in_masks() -> None:
    large = np.zeros((60, 60), np.uint8)
    large[:, 30:] = 4
    large[10:12, :20] = 9
    large[0, 0] = 255
    classes = infer_classes([count_ids(large), count_ids(np.zeros((60, 60), np.uint16))])
    assert classes.names == ("class_0", "class_4", "class_9")
    assert [c.id for c in classes.classes] == [0, 4, 9]
    assert classes.targets == [2]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([], "0 different ids"),
        ([np.array([[0, 255]], np.uint8)], "only 0 and 255"),
        ([np.array([[255, 255]], np.uint8)], "only 0 and 255"),
        ([np.arange(400, dtype=np.uint16)[None]], "399 different ids"),
    ],
)
def test_masks_that_no_class_list_can_be_made_from(masks: list[np.ndarray], message: str) -> None:
    with pytest.raises(FrugalsegError, match=message):
        infer_classes([count_ids(mask) for mask in masks])


def test_area_and_edge_agree_with_a_loop() -> None:
    ids = np.random.default_rng(0).integers(0, 3, (9, 7))
    area, edge = np.zeros(4, int), np.zeros(4, int)
    for (r, c), i in np.ndenumerate(ids):
        around = [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
        inside = [ids[a, b] for a, b in around if 0 <= a < 9 and 0 <= b < 7]
        area[i] += 1
        edge[i] += any(other != i for other in inside)
    found = area_and_edge(ids, 4)
    assert found[0].tolist() == area.tolist()
    assert found[1].tolist() == edge.tolist()


@pytest.mark.parametrize(
    ("area", "edge", "looks"),
    [(400, 200, True), (1000, 40, False), (900, 450, False), (0, 0, False)],
    ids=["thin", "wide", "large", "absent"],
)
def test_targets_are_small_or_thin(area: int, edge: int, looks: bool) -> None:
    assert (small_or_thin(area, edge, 10_000, 100) is not None) is looks


@pytest.mark.parametrize("digits", ["9" * 5000, "70000", "-1", "1e3", "", "0" * 5000])
def test_odd_ids_are_refused_with_their_line(tmp_path: Path, digits: str) -> None:
    (tmp_path / "classes.csv").write_text(f"name,id,colour,target\na,{digits},#000000,no\n")
    with pytest.raises(FrugalsegError, match=r"line 2: the id '.*' is not a whole number from 0"):
        read_classes(tmp_path / "classes.csv")
    with pytest.raises(FrugalsegError, match="The class to ignore"):
        ignored_ids([SegmentationClass("a", 0, (0, 0, 0))], [digits])


def test_ids_may_be_written_with_zeros_in_front(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("name,id,colour,target\na,00300,#000000,no\n")
    assert read_classes(tmp_path / "classes.csv").classes[0].id == 300
