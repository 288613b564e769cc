"""ISPRS Potsdam: 38 aerial tiles as crops with masks, cut and divided as in Ji et al. 2019."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import track
from frugalseg.data.class_lists.classes import (
    IGNORE_INDEX,
    UNKNOWN,
    ClassList,
    SegmentationClass,
    write_classes,
)
from frugalseg.data.class_lists.mapping import merge_classes, supplied_mappings
from frugalseg.data.formats.prepared import first_of, prepare
from frugalseg.data.image_file import open_image
from frugalseg.data.images import image_size, read_four_bands, write_image
from frugalseg.data.layouts.listing import files_below, require_folder
from frugalseg.data.masks import read_raw, write_labels
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_csv

# Row and columns of the tiles: those whose labels the participants got, and the others.
_LABELLED = {
    **dict.fromkeys((2, 3, 4, 5), (10, 11, 12)),
    **dict.fromkeys((6, 7), (7, 8, 9, 10, 11, 12)),
}
_OTHERS = {2: (13, 14), 3: (13, 14), 7: (13,), **dict.fromkeys((4, 5, 6), (13, 14, 15))}
LABELLED = tuple(f"{row}_{column}" for row, part in _LABELLED.items() for column in part)
TILES = tuple(f"{row}_{column}" for row in range(2, 8) for column in _LABELLED[row] + _OTHERS[row])
TEST_SHARE = 0.1  # of all crops; they are drawn from the labelled ones
SIX = ClassList(
    (
        SegmentationClass("impervious surface", 0, (255, 255, 255)),
        SegmentationClass("building", 1, (0, 0, 255)),
        SegmentationClass("low vegetation", 2, (0, 255, 255)),
        SegmentationClass("tree", 3, (0, 255, 0)),
        SegmentationClass("car", 4, (255, 255, 0)),
        SegmentationClass("clutter", 5, (255, 0, 0)),
    )
)


@dataclass(frozen=True)
class _Tile:
    """A tile: its image, its labels if it has any, and the rows and columns of its crops."""

    name: str
    image: Path
    label: Path | None
    grid: tuple[int, int]

    def crops(self) -> Iterator[tuple[int, int, str]]:
        """Row and column of each crop, and the name of its files without suffix."""
        for row, column in np.ndindex(*self.grid):
            yield row, column, f"{self.name}/{row:02d}_{column:02d}"

    def paths(self, crop: str, out: Path) -> dict[str, Path]:
        """Where the image of a crop, its infrared band and its mask go."""
        folders = {"image": "unlabelled", "infrared": "infrared"}
        if self.label is not None:
            folders |= {"image": "images", "mask": "masks"}
        return {part: out / folder / f"{crop}.png" for part, folder in folders.items()}

    def is_written(self, out: Path) -> bool:
        """Whether all files of the tile exist."""
        files = (path for *_, crop in self.crops() for path in self.paths(crop, out).values())
        return all(path.exists() for path in files)


def potsdam_classes(number: int) -> ClassList:
    """The six classes, or three: road and car, building and clutter, vegetation and tree.

    Raises:
        FrugalsegError: another number than 6 and 3.
    """
    if number not in (6, 3):
        raise FrugalsegError(f"Potsdam has no set of {number} classes: give 6 or 3.")
    return SIX if number == 6 else merge_classes(SIX, supplied_mappings()["potsdam-3"])


def prepare_potsdam(
    raw: Path,
    out: Path,
    number: int = 6,
    crop: int = 200,
    seed: int = 0,
    ignore_unknown: bool = False,
) -> dict[str, int]:
    """Write images/, masks/, unlabelled/, infrared/, split.csv and classes.csv.

    Tiles are halved (images averaged over 2x2 pixels, of labels every second pixel) and cut into
    crops, TILE/ROW_COLUMN.png. A tenth of the number of all crops is drawn from the labelled ones
    as test (855 of 5400); the others are train. Files that exist already are kept. One tile is in
    memory at a time.

    Args:
        raw: folder that holds, anywhere below, top_potsdam_*_RGBIR.tif (38 tiles of four bands)
            and top_potsdam_*_label.tif (the 24 tiles of the participants; others are not used).
        out: an empty folder, or one that was begun in the same way.
        number: of classes: 6 or 3.
        crop: height and width of the crops in pixels of the halved tile.
        seed: draws the test crops.
        ignore_unknown: ignore label pixels (255) whose colour is none of the six.

    Returns:
        Number of crops: "train", "test" and "unlabelled".

    Raises:
        FrugalsegError: a tile is missing, broken or of another size, labels hold other colours
            (how many pixels in which file), or `out` holds something else.
    """
    classes = potsdam_classes(number)
    for name, value, minimum in (("crop", crop, 1), ("seed", seed, 0)):
        if value < minimum:
            raise FrugalsegError(f"{name}={value} is out of range: it must be at least {minimum}.")
    settings: dict[str, Any] = {"data": "potsdam", "classes": number, "crop": crop, "seed": seed}
    settings["ignore_unknown"] = ignore_unknown

    def check() -> list[_Tile]:
        tiles = _tiles(raw, crop)
        if not ignore_unknown:
            _check_colours([t.label for t in tiles if t.label and not t.is_written(out)])
        return tiles

    def write(tiles: list[_Tile]) -> dict[str, int]:
        splits = _splits(tiles, seed)
        write_classes(ClassList(classes.classes), out / "classes.csv")
        rows = sorted((name, split) for split in ("train", "test") for name in splits[split])
        write_csv([("stem", "split"), *rows], out / "split.csv")
        for tile in track([tile for tile in tiles if not tile.is_written(out)], "tiles"):
            _cut(tile, crop, out, classes)
        return {split: len(names) for split, names in splits.items()}

    return prepare(out, settings, check, write)


def _tiles(raw: Path, crop: int) -> list[_Tile]:
    """All tiles with their labels, their sizes checked."""
    require_folder(raw)
    images = _named(raw, "RGBIR")
    labels = _named(raw, "label")
    for files, wanted, ending in ((images, TILES, "RGBIR"), (labels, LABELLED, "label")):
        if missing := [f"top_potsdam_{tile}_{ending}.tif" for tile in wanted if tile not in files]:
            raise FrugalsegError(f"{raw}: missing in it and below: {first_of(missing)}.")
    tiles = []
    for name in TILES:
        label = labels[name] if name in LABELLED else None
        height, width = _image_size(images[name])
        if label is not None and (size := image_size(label)) != (height, width):
            raise FrugalsegError(
                f"{label} has {size[0]}x{size[1]} pixels, its image {height}x{width}."
            )
        if height % (2 * crop) or width % (2 * crop):
            raise FrugalsegError(
                f"{images[name]} has {height}x{width} pixels: halved, it cannot be cut into crops "
                f"of {crop}x{crop}."
            )
        tiles.append(_Tile(name, images[name], label, (height // crop // 2, width // crop // 2)))
    return tiles


def _named(raw: Path, ending: str) -> dict[str, Path]:
    """Files top_potsdam_TILE_ENDING.tif by tile, preferably those in a "participants" folder."""
    files: dict[str, Path] = {}
    for path in files_below(raw, frozenset([".tif", ".tiff"])):
        match = re.fullmatch(rf"top_potsdam_(\d+)_(\d+)_{ending}", path.stem)
        if match:
            tile = f"{int(match[1])}_{int(match[2])}"
            if tile not in files or "participants" in path.parent.name.lower():
                files[tile] = path
    return files


def _image_size(path: Path) -> tuple[int, int]:
    """Height and width of a tile, which must have four bands of 8 bits."""
    with open_image(path) as image:
        if getattr(image, "tag_v2", {}).get(258) != (8, 8, 8, 8):
            raise FrugalsegError(f"{path}: four bands of 8 bits are needed (red, green, blue, IR).")
        return image.height, image.width


def _splits(tiles: list[_Tile], seed: int) -> dict[str, list[str]]:
    """Names of the crops by split."""
    labelled = [crop for tile in tiles if tile.label for *_, crop in tile.crops()]
    others = [crop for tile in tiles if not tile.label for *_, crop in tile.crops()]
    number = int(TEST_SHARE * (len(labelled) + len(others)))
    drawn = set(np.random.default_rng(seed).permutation(len(labelled))[:number].tolist())
    return {
        "train": [name for i, name in enumerate(labelled) if i not in drawn],
        "test": [name for i, name in enumerate(labelled) if i in drawn],
        "unlabelled": others,
    }


def _encode(path: Path, classes: ClassList) -> NDArray[np.uint8]:
    """(H / 2, W / 2) class indices of a label tile, 254 if the colour is none of the six."""
    rgb = read_raw(path, classes)
    if rgb.ndim != 3:
        raise FrugalsegError(f"{path} holds no colours: the labels as they are shipped are needed.")
    return classes.index_colours(rgb[::2, ::2].astype(np.uint8))


def _check_colours(labels: list[Path]) -> None:
    """Raise if labels hold other colours: how many pixels in which file."""
    strays: list[str] = []
    for path in track(labels, "labels"):
        if number := int((_encode(path, SIX) == UNKNOWN).sum()):
            strays.append(f"{path.name} ({number} pixels)")
    if strays:
        listed = first_of(strays, 6)
        raise FrugalsegError(
            f"Labels hold other colours than the six of Potsdam: {listed}. Fetch the files again, "
            "or give --ignore-unknown to ignore these pixels."
        )


def _cut(tile: _Tile, crop: int, out: Path, classes: ClassList) -> None:
    """Write those crops of a tile that do not exist yet."""
    pixels = read_four_bands(tile.image)
    labels = np.zeros((0, 0), np.uint8)
    if tile.label is not None:
        labels = _encode(tile.label, classes)
        labels[labels == UNKNOWN] = IGNORE_INDEX
    for row, column, name in tile.crops():
        top, left = row * crop, column * crop
        part = pixels[2 * top : 2 * (top + crop), 2 * left : 2 * (left + crop)]
        sums = part.reshape(crop, 2, crop, 2, 4).sum((1, 3), dtype=np.uint16)
        half = ((sums + 2) >> 2).astype(np.uint8)
        for kind, path in tile.paths(name, out).items():
            if path.exists():
                continue
            if kind == "mask":
                mask = labels[top : top + crop, left : left + crop]
                write_labels(mask, path, ClassList(classes.classes))
            else:
                bands = half[..., :3] if kind == "image" else half[..., 3]
                write_image(np.ascontiguousarray(bands), path)
