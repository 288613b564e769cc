"""Mapping files: the supplied ones, and the user's."""

import os
from pathlib import Path

import numpy as np
import pytest

from frugalseg.data.class_lists.classes import read_classes
from frugalseg.data.class_lists.mapping import mapping_path, merge_classes, supplied_mappings
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.masks import read_raw
from frugalseg.errors import FrugalsegError

DATA = Path(os.environ.get("FRUGALSEG_DATA", "nowhere"))


@pytest.mark.parametrize("name", supplied_mappings())
def test_a_supplied_mapping_is_sound(name: str, tmp_path: Path) -> None:
    classes = merge_classes(None, mapping_path(tmp_path, name))
    assert str(classes.num_classes) == name.rpartition("-")[2]
    ids = [fine.id for fine in classes.fine]
    assert ids == list(range(len(ids)))


def test_a_file_goes_before_a_supplied_mapping(tmp_path: Path) -> None:
    own = tmp_path / "camvid-3"
    own.write_text("fine_id,fine_name,coarse_id,coarse_name\n0,a,0,b\n")
    assert mapping_path(tmp_path, "camvid-3") == own
    with pytest.raises(FrugalsegError, match=r"camvid-4: there is no such mapping.*camvid-3"):
        mapping_path(tmp_path, "camvid-4")


@pytest.mark.skipif(not (DATA / "camvid").is_dir(), reason="FRUGALSEG_DATA has no camvid")
def test_camvid_in_three_classes() -> None:
    data = open_folder(DATA / "camvid", mapping="camvid-3")
    assert data.classes.names == ("sky", "ground", "standing")
    fine = {c.name: c.id for c in read_classes(DATA / "camvid" / "classes.csv").classes}
    raw = read_raw(data.splits["test"][0].mask or "")
    coarse = data.classes.encode(raw)
    np.testing.assert_array_equal(coarse == 0, raw == fine["sky"])
    np.testing.assert_array_equal(coarse == 1, np.isin(raw, [fine["road"], fine["pavement"]]))
    np.testing.assert_array_equal(coarse == 255, raw == fine["void"])
    assert set(np.unique(coarse)) <= {0, 1, 2, 255}


@pytest.mark.skipif(not (DATA / "facades").is_dir(), reason="FRUGALSEG_DATA has no facades")
def test_facades_in_four_classes_by_their_own_mapping() -> None:
    data = open_folder(DATA / "facades", mapping="mapping.csv")
    assert data.classes.names == ("wall", "opening", "ground", "surroundings")
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 160, "val": 40}
