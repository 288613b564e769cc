"""Find the folders of images and of masks in a data folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from frugalseg.data.images import IMAGE_SUFFIXES
from frugalseg.data.layouts.listing import entries_of, normal_name, require_folder
from frugalseg.data.layouts.pairing import label_of, pair_names
from frugalseg.data.layouts.splits import IMAGE_FOLDERS, SPLIT_WORDS, SPLITS
from frugalseg.errors import FrugalsegError

Folders = dict[str, tuple[Path, Path]]  # of images and masks, by split; "" if there are no splits

_MASK_FOLDERS = (
    *("masks", "mask", "labels", "label", "ann_dir", "annotations", "annotation", "annots"),
    *("segmentationclass", "gtfine", "gt", "semantic", "masks_png"),
)
_BESIDE = ("annot", "_annot", "_masks", "_mask", "_labels", "masks", "labels")  # after train
_WORDS = {word: split for word, split in SPLIT_WORDS.items() if split in SPLITS}


def find_folders(
    root: Path, images: Path | str | None = None, masks: Path | str | None = None
) -> Folders | None:
    """Where the images and masks of a data folder lie.

    Args:
        root: the data folder.
        images, masks: their folders, if they are named: below `root` or elsewhere.

    Returns:
        Folders by split, of which at least one has both images and masks, while others may not
        exist; None if the folder has no known layout.

    Raises:
        FrugalsegError: a named folder is missing, or two folders mean one split.
    """
    named = images is not None or masks is not None
    for folders in _named(root, images, masks) if named else _layouts(root):
        if any(pair[0].is_dir() and pair[1].is_dir() for pair in folders.values()):
            return folders
    return None


def split_names(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Tell the names of images from those of masks in the same folder, which words mark."""
    listed = sorted(names)
    marked = [name for name in listed if label_of(name.rpartition("/")[2]) is not None]
    return [name for name in listed if name not in set(marked)], marked


def _named(root: Path, images: Path | str | None, masks: Path | str | None) -> Iterator[Folders]:
    """The folders that options name, divided by the splits below both."""
    pair = []
    for given in (images, masks):
        folder = root if given is None else root / given
        folder = folder if given is None or folder.is_dir() else Path(given)
        require_folder(folder)
        pair.append(folder)
    if pair[0] != pair[1]:
        yield _by_split(*pair)
    yield {"": (pair[0], pair[1])}


def _layouts(root: Path) -> Iterator[Folders]:
    """Where images and masks may lie, layout by layout; not all of these folders exist."""
    below = _subfolders(root)
    masks = {w: next((below[w + b] for b in _BESIDE if w + b in below), None) for w in _WORDS}
    yield _once(
        (split, below.get(word, root / word), masks[word] or root / f"{word}annot")
        for word, split in _WORDS.items()
        if word in below or masks[word]
    )
    splits = {word: below[word] for word in _WORDS if word in below}
    yield _once((_WORDS[word], *_roles(folder)) for word, folder in splits.items())
    yield _by_split(*_roles(root))
    yield {"": _roles(root)}
    yield _once((_WORDS[word], f, f) for word, f in splits.items() if _holds_both(f))
    if _holds_both(root):
        yield {"": (root, root)}


def _by_split(images: Path, masks: Path) -> Folders:
    """The sub-folders of two folders that are called like splits."""
    one, other = _subfolders(images), _subfolders(masks)
    return _once(
        (split, one.get(word, images / word), other.get(word, masks / word))
        for word, split in _WORDS.items()
        if word in one or word in other
    )


def _once(folders: Iterable[tuple[str, Path, Path]]) -> Folders:
    """Folders by split; refuse two that hold images and masks of the same split."""
    found: Folders = {}
    for split, images, masks in folders:
        complete = images.is_dir() and masks.is_dir()
        before = found.get(split)
        if complete and before is not None and before[0].is_dir() and before[1].is_dir():
            raise FrugalsegError(
                f"{before[0]} and {images} both mean the split {split!r}: join them, or move one "
                "of them away."
            )
        if complete or before is None:
            found[split] = images, masks
    return found


def _subfolders(folder: Path) -> dict[str, Path]:
    """The folders in a folder by their names in lower case."""
    if not folder.is_dir():
        return {}
    below = (Path(entry) for entry in entries_of(folder) if entry.is_dir())
    return {path.name.lower(): path for path in below}


def _roles(folder: Path) -> tuple[Path, Path]:
    """The folders of images and masks in a folder, whether they exist or not."""
    below = _subfolders(folder)
    images = next((below[name] for name in IMAGE_FOLDERS if name in below), folder / "images")
    return images, next((below[n] for n in _MASK_FOLDERS if n in below), folder / "masks")


def _holds_both(folder: Path) -> bool:
    """Whether a folder holds images and, by their names, a mask for each."""
    files = [Path(e) for e in entries_of(folder) if Path(e).suffix.lower() in IMAGE_SUFFIXES]
    images, masks = split_names(normal_name(path.stem) for path in files)
    return len(pair_names(images, masks).masks) == len(images) > 0
