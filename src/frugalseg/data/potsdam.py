"""ISPRS Potsdam: 38 aerial tiles as crops with masks, cut and divided as in Ji et al. 2019."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from frugalseg.data.classes import ClassList, SegmentationClass, write_classes
from frugalseg.data.images import image_size, reading
from frugalseg.data.layout import files_below, require_folder
from frugalseg.data.masks import read_raw, write_labels
from frugalseg.data.merging import merge_classes, supplied_mappings
from frugalseg.data.prepared import Progress, claim, finished, some
from frugalseg.errors import FrugalsegError
from frugalseg.files import replacing, write_whole

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
_IGNORED, _UNKNOWN = 255, 254


@dataclass(frozen=True)
class _Tile:
    """A tile: its image, its labels where there are any, and how many crops it gives."""

    name: str
    image: Path
    label: Path | None
    grid: tuple[int, int]

    def crops(self) -> Iterator[tuple[int, int, str]]:
        """Row and column of each crop, and the name of its files."""
        for row in range(self.grid[0]):
            for column in range(self.grid[1]):
                yield row, column, f"{self.name}/{row:02d}_{column:02d}.png"


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
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write images/, masks/, unlabelled/, infrared/, split.csv and classes.csv.

    Tiles are halved (images averaged over 2x2 pixels, of labels every second pixel) and cut into
    crops, TILE/ROW_COLUMN.png. Of the labelled ones a tenth of the number of all crops (855 of
    5400) is drawn as test, the others are train. What is written already is kept; one tile is held
    at a time.

    Args:
        raw: folder that holds, anywhere below, top_potsdam_*_RGBIR.tif (38 tiles of four bands)
            and top_potsdam_*_label.tif (the 24 tiles of the participants; others are not used).
        out: an empty folder, or one that was begun in the same way.
        number: of classes: 6 or 3.
        crop: height and width of the crops in pixels of the halved tile.
        seed: draws the test crops.
        ignore_unknown: label pixels of other colours than the six become 255 (ignored).
        progress: called with how many steps are done and how many there are: one for each label
            checked and one for each tile cut.

    Returns:
        Number of crops: "train", "test" and "unlabelled".

    Raises:
        FrugalsegError: a tile is missing, broken or of another size, labels hold other colours
            (how many pixels in which file), or `out` holds something else.
    """
    classes = potsdam_classes(number)
    settings = _settings(number, crop, seed, ignore_unknown)
    done_before = finished(out, settings)
    if done_before is not None:
        return done_before
    tiles = _tiles(raw, crop)
    todo = [tile for tile in tiles if _missing(tile, out)]
    checks = [] if ignore_unknown else [tile for tile in todo if tile.label is not None]
    steps = len(checks) + len(todo)
    _check_colours(checks, steps, progress)
    claim(out, settings)
    splits = _splits(tiles, seed)
    write_classes(_plain(classes), out / "classes.csv")
    _write_split(splits, out / "split.csv")
    for done, tile in enumerate(todo, len(checks) + 1):
        _cut(tile, crop, out, classes)
        if progress is not None:
            progress(done, steps)
    counts = {split: len(names) for split, names in splits.items()}
    claim(out, settings, counts)
    return counts


def _settings(number: int, crop: int, seed: int, ignore_unknown: bool) -> dict[str, Any]:
    for name, value, least in (("crop", crop, 1), ("seed", seed, 0)):
        if value < least:
            raise FrugalsegError(f"{name}={value} is out of range: it must be at least {least}.")
    settings: dict[str, Any] = {"data": "potsdam", "classes": number, "crop": crop, "seed": seed}
    return {**settings, "ignore_unknown": ignore_unknown}


def _tiles(raw: Path, crop: int) -> list[_Tile]:
    """All tiles with their labels, their sizes checked."""
    require_folder(raw)
    images = _named(raw, "RGBIR")
    labels = _named(raw, "label")
    for found, wanted, ending in ((images, TILES, "RGBIR"), (labels, LABELLED, "label")):
        if missing := [f"top_potsdam_{tile}_{ending}.tif" for tile in wanted if tile not in found]:
            raise FrugalsegError(f"{raw}: missing, there or below: {some(missing)}.")
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
    """Files top_potsdam_TILE_ENDING.tif by tile; of several that of a "participants" folder."""
    found: dict[str, Path] = {}
    for path in files_below(raw, frozenset([".tif", ".tiff"])):
        match = re.fullmatch(rf"top_potsdam_(\d+)_(\d+)_{ending}", path.stem)
        if match:
            tile = f"{int(match[1])}_{int(match[2])}"
            if tile not in found or "participants" in path.parent.name.lower():
                found[tile] = path
    return found


def _image_size(path: Path) -> tuple[int, int]:
    """Height and width of a tile, which must have four bands of 8 bits."""
    with reading(path), Image.open(path) as image:
        if getattr(image, "tag_v2", {}).get(258) != (8, 8, 8, 8):
            raise FrugalsegError(f"{path}: four bands of 8 bits are needed (red, green, blue, IR).")
        return image.height, image.width


def read_four_bands(path: Path) -> NDArray[np.uint8]:
    """Read a TIFF file of red, green, blue and a fourth band as it is.

    Pillow drops a fourth band that the file does not call alpha, and divides the others by one that
    it calls so: it is told here that the bands are plain.

    Args:
        path: of 8 bits a band.

    Returns:
        (H, W, 4).

    Raises:
        FrugalsegError: the file is broken, or has other bands.
    """
    _image_size(path)
    with reading(path), Image.open(path) as image:
        image._mode = "RGBA"
        image.tile = [part._replace(args=_plain_bands(part.args)) for part in image.tile]
        return np.asarray(image)


def _plain_bands(words: Any) -> Any:
    """The arguments of Pillow's decoder with four plain bands in place of other kinds."""
    return tuple("RGBA" if word in ("RGBX", "RGBa") else word for word in words)


def _splits(tiles: list[_Tile], seed: int) -> dict[str, list[str]]:
    """Names of the crops (without suffix) by split."""
    labelled = [n.removesuffix(".png") for t in tiles if t.label for _, _, n in t.crops()]
    others = [n.removesuffix(".png") for t in tiles if not t.label for _, _, n in t.crops()]
    number = int(TEST_SHARE * (len(labelled) + len(others)))
    drawn = set(np.random.default_rng(seed).permutation(len(labelled))[:number].tolist())
    return {
        "train": [name for i, name in enumerate(labelled) if i not in drawn],
        "test": [name for i, name in enumerate(labelled) if i in drawn],
        "unlabelled": others,
    }


def _write_split(splits: dict[str, list[str]], path: Path) -> None:
    rows = sorted((name, split) for split in ("train", "test") for name in splits[split])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("stem", "split"), *rows])
    write_whole(text.getvalue().encode(), path)


def _plain(classes: ClassList) -> ClassList:
    return ClassList(classes.classes)


def _encode(path: Path, classes: ClassList) -> NDArray[np.uint8]:
    """(H / 2, W / 2) class indices of a label tile, 254 where the colour is none of the six."""
    rgb = read_raw(path)
    if rgb.ndim != 3:
        raise FrugalsegError(f"{path} holds no colours: the labels as they are shipped are needed.")
    rgb = rgb[::2, ::2]
    # all six colours have channels of 0 and 255 alone: three bits name them
    table = np.full(8, _UNKNOWN, np.uint8)
    for c in SIX.classes:
        place = sum((value > 0) << (2 - i) for i, value in enumerate(c.colour))
        table[place] = classes.encode(np.array([c.id]))[0]
    places = (rgb[..., 0] >> 7 << 2) | (rgb[..., 1] >> 7 << 1) | (rgb[..., 2] >> 7)
    indices: NDArray[np.uint8] = table[places]
    indices[((rgb != 0) & (rgb != 255)).any(-1)] = _UNKNOWN
    return indices


def _check_colours(tiles: list[_Tile], steps: int, progress: Progress | None) -> None:
    """Raise where labels hold other colours: how many pixels in which file."""
    strays: Counter[str] = Counter()
    for done, tile in enumerate(tiles, 1):
        assert tile.label is not None
        if number := int((_encode(tile.label, SIX) == _UNKNOWN).sum()):
            strays[tile.label.name] = number
        if progress is not None:
            progress(done, steps)
    if strays:
        listed = some([f"{name} ({number} pixels)" for name, number in strays.items()], 6)
        raise FrugalsegError(
            f"Labels hold other colours than the six of Potsdam: {listed}. Fetch the files again, "
            "or give --ignore-unknown to ignore these pixels."
        )


def _paths(tile: _Tile, name: str, out: Path) -> dict[str, Path]:
    """Where the parts of a crop go."""
    if tile.label is None:
        return {"image": out / "unlabelled" / name, "infrared": out / "infrared" / name}
    folders = {"image": "images", "infrared": "infrared", "mask": "masks"}
    return {part: out / folder / name for part, folder in folders.items()}


def _missing(tile: _Tile, out: Path) -> bool:
    """Whether a file of a tile is still to be written."""
    paths = (path for _, _, name in tile.crops() for path in _paths(tile, name, out).values())
    return not all(path.exists() for path in paths)


def _cut(tile: _Tile, crop: int, out: Path, classes: ClassList) -> None:
    """Write those crops of a tile that are not there."""
    pixels = read_four_bands(tile.image)
    labels = None
    if tile.label is not None:
        labels = _encode(tile.label, classes)
        labels[labels == _UNKNOWN] = _IGNORED
    for row, column, name in tile.crops():
        top, left = row * crop, column * crop
        part = pixels[2 * top : 2 * (top + crop), 2 * left : 2 * (left + crop)]
        sums = part.reshape(crop, 2, crop, 2, 4).sum((1, 3), dtype=np.uint16)
        half = ((sums + 2) >> 2).astype(np.uint8)
        for kind, path in _paths(tile, name, out).items():
            if path.exists():
                continue
            if kind == "mask":
                assert labels is not None
                write_labels(labels[top : top + crop, left : left + crop], path, _plain(classes))
            else:
                with replacing(path) as temporary:
                    chosen = half[..., :3] if kind == "image" else half[..., 3]
                    Image.fromarray(np.ascontiguousarray(chosen)).save(temporary, "PNG")
