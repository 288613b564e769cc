"""Find images and their masks in a folder of one of the known layouts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.images import IMAGE_SUFFIXES, Size, image_size
from frugalseg.data.masks import MASK_SUFFIXES
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads, read_table

SPLITS = ("train", "val", "test")
LAYOUTS = (
    "train/ beside trainannot/, train/images/ with train/masks/, images/train/ with masks/train/, "
    "or images/ with masks/ (and a split.csv if there is a split)"
)

NO_MASK = "images without a mask"
_MASK_LIKE = MASK_SUFFIXES | {".jpg", ".jpeg"}  # reading a JPEG mask says why it cannot be used
_FOLDER_SPLITS = {name: name for name in (*SPLITS, "unlabelled")} | {"unlabeled": "unlabelled"}


@dataclass(frozen=True)
class Sample:
    """An image and its mask; `name` is its path below the images' folder without the suffix."""

    name: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file: `kind` is a short heading, `text` says how to mend it."""

    kind: str
    file: str
    text: str

    @property
    def sentence(self) -> str:
        """The text with the file's name in it."""
        return self.text if self.file in self.text else f"{self.file}: {self.text}"


@dataclass
class FolderContents:
    """What a folder holds: samples by split (under `""` if none is given), and what is wrong.

    Attributes:
        splits: images with a mask.
        lone: images without a mask; they are listed as problems too.
        problems: files without a partner, and names listed wrongly.
        has_layout: whether the folder has a layout of images and masks; if not, it holds images
            alone.
    """

    splits: dict[str, list[Sample]] = field(default_factory=dict)
    lone: dict[str, list[Sample]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    has_layout: bool = True

    @property
    def paired(self) -> list[Sample]:
        """All images with a mask."""
        return [sample for samples in self.splits.values() for sample in samples]


def find_samples(root: Path) -> FolderContents:
    """Find the images and masks of a data folder.

    Args:
        root: the folder, in one of the layouts.

    Returns:
        Pairs by split, and images and masks without a partner.

    Raises:
        FrugalsegError: the folder is missing, unreadable, not a folder, of no known layout, or
            empty.
    """
    require_folder(root)
    contents = _find_pairs(root)
    if contents is None:
        raise FrugalsegError(
            f"{root}: it holds no images with masks. The folder must hold {LAYOUTS}."
        )
    return contents


def find_images(root: Path) -> FolderContents:
    """Find the images of any folder, with masks of all, some or none of them.

    Args:
        root: a folder in one of the layouts, one with images/ and a split.csv, or one of images
            alone, flat or nested.

    Raises:
        FrugalsegError: as :func:`find_samples` does; without masks, also if split.csv does not
            fit, if there is no image, or if a folder beside ``images/`` looks like its masks.
    """
    require_folder(root)
    contents = _find_pairs(root)
    if contents is not None:
        return contents
    if not ((root / "images").is_dir() and (root / "split.csv").is_file()):
        files = _plain_files(root)
        samples = [Sample(path.relative_to(root).as_posix(), path, None) for path in files]
        return FolderContents(lone={"": samples}, has_layout=False)
    contents = FolderContents()
    _pair(root, root / "images", root / "masks", "", contents)
    _read_split(root / "split.csv", contents)
    raise_problems(root, [problem for problem in contents.problems if problem.kind != NO_MASK])
    return contents


def list_images(path: Path | str) -> list[Path]:
    """The images that a file, a folder (with its sub-folders) or a pattern names, sorted.

    Args:
        path: like `photo.jpg`, `photos/`, `photos/*.jpg` or `photos/**/*.png`.

    Raises:
        FrugalsegError: nothing has this name, or no image has.
    """
    path = Path(path)
    if path.is_dir():
        require_folder(path)
        images = list(files_below(path, IMAGE_SUFFIXES))
    elif path.exists():
        images = [path]
    else:
        matches = [Path(match) for match in glob(str(path), recursive=True)]  # noqa: PTH207
        images = sorted(m for m in matches if m.is_file() and m.suffix.lower() in IMAGE_SUFFIXES)
        if not matches:
            raise FrugalsegError(f"{path}: there is no such file or folder.")
    if not images:
        raise FrugalsegError(
            f"{path}: there is no image (looked for {' '.join(sorted(IMAGE_SUFFIXES))})."
        )
    return images


def _plain_files(root: Path) -> list[Path]:
    """The images of a folder in no layout: all in it and below it, except infrared bands."""
    inner = root / "images"
    if inner.is_dir():
        beside = [f for f in root.iterdir() if f.is_dir() and f != inner and f.name[0] != "."]
        if root / "infrared" in beside:
            return list(files_below(inner, IMAGE_SUFFIXES))
        names = _by_stem(inner, IMAGE_SUFFIXES).keys()
        for folder in beside:
            if (stems := _by_stem(folder, MASK_SUFFIXES).keys()) and stems <= names:
                raise FrugalsegError(
                    f"{folder} holds files with the names of those in {inner}: if they are masks, "
                    f"call it {root / 'masks'}; if not, give the folder {inner}."
                )
    files = list(files_below(root, IMAGE_SUFFIXES))
    if not files:
        raise FrugalsegError(f"{root}: there is no image in it or below it.")
    return files


def splits_by_name(names: Sequence[str]) -> tuple[dict[str, NDArray[np.int64]], list[str]]:
    """Indices by split, and the names below the split's folder.

    Args:
        names: paths below a folder. If the first folder of each (after ``images/``, if all lie
            there) is train, val, test or unlabelled, it is the split; else there are no splits.
    """
    inside = all(name.startswith("images/") for name in names)
    inner = [name.removeprefix("images/") if inside else name for name in names]
    firsts = [PurePosixPath(name).parts[0] if "/" in name else "" for name in inner]
    if not set(firsts) <= _FOLDER_SPLITS.keys():
        return {}, list(names)
    splits = np.array([_FOLDER_SPLITS[first] for first in firsts])
    below = [name.partition("/")[2] for name in inner]
    return {str(split): np.flatnonzero(splits == split) for split in np.unique(splits)}, below


def match_masks(root: Path, samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """Give samples the masks that another folder holds under their paths.

    Args:
        root: the folder of the images.
        samples: images below it.
        folder: holds masks under the paths of the images below `root`, with another suffix or
            with one more (``a.jpg.png``), or under the names of the samples.

    Returns:
        The samples, with mask None if there is none.
    """
    masks = _by_stem(folder, _MASK_LIKE) if folder.is_dir() else {}
    matched = []
    for sample in samples:
        name = sample.image.relative_to(root)
        keys = (name.as_posix(), name.with_suffix("").as_posix(), sample.name)
        mask = next((masks[key] for key in keys if key in masks), None)
        matched.append(replace(sample, mask=mask))
    return matched


def _find_pairs(root: Path) -> FolderContents | None:
    """The samples of a folder in one of the layouts; None if it has none of these layouts."""
    contents = FolderContents()
    for images, masks in (("{}", "{}annot"), ("{}/images", "{}/masks"), ("images/{}", "masks/{}")):
        pairs = {s: (root / images.format(s), root / masks.format(s)) for s in SPLITS}
        present = {s: p for s, p in pairs.items() if p[0].is_dir() and p[1].is_dir()}
        for split, pair in present.items():
            _pair(root, *pair, split, contents)
        if present:
            _refuse_lone_folders(pairs)
            break
    else:
        if not ((root / "images").is_dir() and (root / "masks").is_dir()):
            return None
        _pair(root, root / "images", root / "masks", "", contents)
        if (root / "split.csv").is_file():
            _read_split(root / "split.csv", contents)
    if not any(contents.splits.values()) and not contents.problems:
        raise FrugalsegError(f"{root}: its folders of images and masks are empty.")
    return contents


def _refuse_lone_folders(pairs: dict[str, tuple[Path, Path]]) -> None:
    """Refuse a split of images or masks only; but a test split without masks is left out."""
    for split, (images, masks) in pairs.items():
        if images.is_dir() != masks.is_dir() and not (split == "test" and images.is_dir()):
            lone, missing = (images, masks) if images.is_dir() else (masks, images)
            raise FrugalsegError(
                f"{lone} has no partner: {missing} is missing. Add it, or move {lone.name} away."
            )


def require_folder(root: Path, of: str = "images and masks") -> None:
    """Refuse a path that is missing, not a folder (`of` says of what), or cannot be read."""
    try:
        if not root.exists():
            raise FrugalsegError(f"{root}: there is no such folder.")
        if not root.is_dir():
            raise FrugalsegError(f"{root} is a file; a folder of {of} is needed.")
        next(root.iterdir(), None)
    except OSError as error:
        raise FrugalsegError(f"{root} cannot be read ({error.strerror}).") from error


def files_below(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """All files with these suffixes in a folder and below, sorted.

    Hidden files and folders of runs are left out: the images that a run writes are not data.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise FrugalsegError(f"{folder} cannot be read ({error.strerror}).") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not ((entry / "config.yaml").is_file() and (entry / "environment.json").is_file()):
                yield from files_below(entry, suffixes)
        elif entry.suffix.lower() in suffixes:
            yield entry


def _by_stem(
    folder: Path, suffixes: frozenset[str], problems: list[Problem] | None = None
) -> dict[str, Path]:
    """Files by their path below `folder` without the suffix; equal ones are problems."""
    files: dict[str, Path] = {}
    for path in files_below(folder, suffixes):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files and problems is not None:
            text = f"{files[name].name} has the same stem: rename one of them"
            problems.append(Problem("files with the same stem", str(path), text))
        else:
            files[name] = path
    return files


def _pair(root: Path, images: Path, masks: Path, split: str, contents: FolderContents) -> None:
    """Join images and masks of a split by their stems."""
    problems = contents.problems
    image_files = _by_stem(images, IMAGE_SUFFIXES, problems)
    mask_files = _by_stem(masks, _MASK_LIKE, problems) if masks.is_dir() else {}
    lone = sorted(image_files.keys() - mask_files.keys())
    contents.lone[split] = [Sample(name, image_files[name], None) for name in lone]
    for name in lone:
        text = f"there is no mask {masks.relative_to(root) / name}.png"
        problems.append(Problem(NO_MASK, str(image_files[name]), text))
    for name in sorted(mask_files.keys() - image_files.keys()):
        text = f"there is no image of this name in {images.relative_to(root)}"
        problems.append(Problem("masks without an image", str(mask_files[name]), text))
    contents.splits[split] = [
        Sample(name, image_files[name], mask_files[name])
        for name in sorted(image_files.keys() & mask_files.keys())
    ]


def _read_split(path: Path, contents: FolderContents) -> None:
    """Divide the samples as split.csv (stem,split) says; lone images need not be listed."""
    samples = {s.name: s for s in contents.splits[""]}
    rows = read_table(path, ("stem", "split"))
    splits: dict[str, list[Sample]] = {}
    seen: dict[str, str] = {}
    problems = contents.problems
    broken = {Path(p.file).with_suffix("").name for p in problems}
    for line, row in rows:
        stem, split = row["stem"], row["split"].lower()
        if split not in SPLITS:
            raise FrugalsegError(
                f"{path}, line {line}: the split {split!r} must be one of {', '.join(SPLITS)}."
            )
        if stem in seen:
            raise FrugalsegError(f"{path}, line {line}: {stem} is listed twice.")
        seen[stem] = split
        if stem in samples:
            splits.setdefault(split, []).append(samples[stem])
        elif Path(stem).name not in broken:
            text = f"line {line}: there is no image {stem}"
            problems.append(Problem("lines of split.csv without an image", str(path), text))
    for name in sorted(samples.keys() - seen.keys()):
        text = "add a line to split.csv, or remove the image and its mask"
        problems.append(Problem("images not in split.csv", str(samples[name].image), text))
    contents.splits = {s: sorted(splits[s], key=lambda x: x.name) for s in SPLITS if s in splits}
    lone = contents.lone[""]
    contents.lone = {s: [x for x in lone if seen.get(x.name, "") == s] for s in ("", *SPLITS)}


def raise_problems(root: Path, problems: Sequence[Problem]) -> None:
    """Refuse problems with a sentence on the first kind: how many files, which, what to do."""
    if not problems:
        return
    kind = problems[0].kind
    same = [p for p in problems if p.kind == kind]
    if len(same) == 1:
        raise FrugalsegError(f"{same[0].sentence.rstrip('.')}.")
    names = ", ".join(Path(p.file).name for p in same[:3])
    raise FrugalsegError(
        f"{root}: {len(same)} {kind}: {names}{', ...' if len(same) > 3 else ''}. "
        f"The first: {same[0].text.rstrip('.')}."
    )


def read_sizes(samples: Sequence[Sample]) -> tuple[dict[Path, Size], list[Problem]]:
    """Read the headers of images and masks.

    Returns:
        Height and width of each image, by its file, and problems with sizes or headers.
    """
    measured = list(in_threads(measure, samples))
    pairs = zip(samples, measured, strict=True)
    sizes = {sample.image: size for sample, (size, _) in pairs if size is not None}
    return sizes, [problem for _, problem in measured if problem is not None]


def measure(sample: Sample) -> tuple[Size | None, Problem | None]:
    """Read the headers of an image and its mask: the image's size, and a problem or None."""
    try:
        image = image_size(sample.image)
    except FrugalsegError as error:
        return None, Problem("images that cannot be read", str(sample.image), str(error))
    if sample.mask is None:
        return image, None
    try:
        mask = image_size(sample.mask)
    except FrugalsegError as error:
        return image, Problem("masks that cannot be read", str(sample.mask), str(error))
    if image == mask:
        return image, None
    text = (
        f"its mask has {mask[0]}x{mask[1]} pixels, the image {image[0]}x{image[1]} (rows x columns)"
    )
    if image == mask[::-1]:
        text += "; the image may be turned by its EXIF orientation and the mask not"
    return image, Problem("images and masks of different size", str(sample.image), text)
