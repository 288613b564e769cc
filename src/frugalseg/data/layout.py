"""Finding images and their masks in a folder: the layouts that are understood."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from frugalseg.data._tables import read_table
from frugalseg.data.images import IMAGE_SUFFIXES, image_size
from frugalseg.data.masks import MASK_SUFFIXES
from frugalseg.errors import FrugalsegError

SPLITS = ("train", "val", "test")
LAYOUTS = (
    "train/ beside trainannot/, train/images/ with train/masks/, images/train/ with masks/train/, "
    "or images/ with masks/ (and a split.csv where the split is given)"
)

NO_MASK = "images without a mask"


@dataclass(frozen=True)
class Sample:
    """An image and its mask; `name` is its path below the images' folder without the suffix."""

    name: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file: `kind` is a short heading, `text` says what to do."""

    kind: str
    file: str
    text: str


@dataclass
class Found:
    """The samples of each split (under `""` where no split is given), and what is wrong.

    Images without a mask are among the problems, and as samples under `lone`, by split too.
    """

    splits: dict[str, list[Sample]] = field(default_factory=dict)
    lone: dict[str, list[Sample]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def find_samples(root: Path) -> Found:
    """Find the images and masks of a data folder.

    Args:
        root: the folder, in one of the layouts.

    Returns:
        Pairs by split, and images and masks without a partner.

    Raises:
        FrugalsegError: the folder is missing, unreadable, no folder, of no known layout, or empty.
    """
    require_folder(root)
    found = Found()
    for layout in _layouts(root):
        pairs = {split: layout(split) for split in SPLITS}
        present = {s: p for s, p in pairs.items() if p[0].is_dir() and p[1].is_dir()}
        for split, (images, masks) in present.items():
            _pair(root, images, masks, split, found)
        if present:
            _refuse_lone_folders(pairs)
            break
    else:
        images, masks = root / "images", root / "masks"
        if not (images.is_dir() and masks.is_dir()):
            raise FrugalsegError(
                f"{root}: no images with masks found there. The folder must hold {LAYOUTS}."
            )
        _pair(root, images, masks, "", found)
        if (root / "split.csv").is_file():
            _read_split(root / "split.csv", found)
    if not any(found.splits.values()) and not found.problems:
        raise FrugalsegError(f"{root}: its folders of images and masks are empty.")
    return found


def find_pairs(root: Path) -> Found | None:
    """As :func:`find_samples`, also of ``images/`` with a ``split.csv`` and no masks at all.

    Returns:
        What was found; None where the folder has no such layout.

    Raises:
        FrugalsegError: as of :func:`find_samples`; without masks, also what else is wrong.
    """
    if is_paired(root):
        return find_samples(root)
    if not ((root / "images").is_dir() and (root / "split.csv").is_file()):
        return None
    found = Found()
    _pair(root, root / "images", root / "masks", "", found)
    _read_split(root / "split.csv", found)
    raise_problems(root, [problem for problem in found.problems if problem.kind != NO_MASK])
    return found


def plain_files(root: Path) -> list[Path]:
    """The images of a folder in no layout: all in it and below it, but not infrared ones.

    Raises:
        FrugalsegError: there are none, or a folder beside ``images/`` looks like its masks.
    """
    inner = root / "images"
    if inner.is_dir():
        beside = [f for f in root.iterdir() if f.is_dir() and f != inner and f.name[0] != "."]
        if root / "infrared" in beside:
            return list(files_below(inner, IMAGE_SUFFIXES))
        names = _stems(inner, IMAGE_SUFFIXES)
        for folder in beside:
            if (stems := _stems(folder, MASK_SUFFIXES)) and stems <= names:
                raise FrugalsegError(
                    f"{folder} holds files with the names of those in {inner}: if they are masks, "
                    f"call it {root / 'masks'}; if not, give the folder {inner}."
                )
    files = list(files_below(root, IMAGE_SUFFIXES))
    if not files:
        raise FrugalsegError(f"{root}: there is no image in it or below it.")
    return files


def _stems(folder: Path, suffixes: frozenset[str]) -> set[str]:
    """Paths of files below a folder, without suffix."""
    found = files_below(folder, suffixes)
    return {path.relative_to(folder).with_suffix("").as_posix() for path in found}


def _layouts(root: Path) -> tuple[Callable[[str], tuple[Path, Path]], ...]:
    """Folders of images and of masks of a split, in each layout that has a folder for each."""
    return (
        lambda split: (root / split, root / f"{split}annot"),
        lambda split: (root / split / "images", root / split / "masks"),
        lambda split: (root / "images" / split, root / "masks" / split),
    )


def is_paired(root: Path) -> bool:
    """Whether a folder has one of the layouts of images and masks, whole or not."""
    pairs = [layout(split) for layout in _layouts(root) for split in SPLITS]
    pairs.append((root / "images", root / "masks"))
    return any(images.is_dir() and masks.is_dir() for images, masks in pairs)


def _refuse_lone_folders(pairs: dict[str, tuple[Path, Path]]) -> None:
    """Raise where a split has images or masks only; a test split may lack masks and is left out."""
    for split, (images, masks) in pairs.items():
        if images.is_dir() != masks.is_dir() and not (split == "test" and images.is_dir()):
            there, missing = (images, masks) if images.is_dir() else (masks, images)
            raise FrugalsegError(
                f"{there} has no partner: {missing} is missing. Add it, or move {there.name} away."
            )


def require_folder(root: Path, of: str = "images and masks") -> None:
    """Raise where `root` is missing, is no folder (of what is said then), or cannot be read."""
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

    Left out are hidden ones, and those of runs: what a run writes is no image of the data.
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


def _by_stem(folder: Path, suffixes: frozenset[str], problems: list[Problem]) -> dict[str, Path]:
    """Files by their path below `folder` without the suffix."""
    files: dict[str, Path] = {}
    for path in files_below(folder, suffixes):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            text = f"{files[name].name} has the same stem: rename one of them"
            problems.append(Problem("files with the same stem", str(path), text))
        else:
            files[name] = path
    return files


def _pair(root: Path, images: Path, masks: Path, split: str, found: Found) -> None:
    """Join images and masks of a split by their stems."""
    problems = found.problems
    image_files = _by_stem(images, IMAGE_SUFFIXES, problems)
    # JPEG files among the masks are paired too: reading them says why they are of no use
    suffixes = MASK_SUFFIXES | {".jpg", ".jpeg"}
    mask_files = _by_stem(masks, suffixes, problems) if masks.is_dir() else {}
    lone = sorted(image_files.keys() - mask_files.keys())
    found.lone[split] = [Sample(name, image_files[name], None) for name in lone]
    for name in lone:
        text = f"there is no mask {masks.relative_to(root) / name}.png"
        problems.append(Problem(NO_MASK, str(image_files[name]), text))
    for name in sorted(mask_files.keys() - image_files.keys()):
        text = f"there is no image of this name in {images.relative_to(root)}"
        problems.append(Problem("masks without an image", str(mask_files[name]), text))
    found.splits[split] = [
        Sample(name, image_files[name], mask_files[name])
        for name in sorted(image_files.keys() & mask_files.keys())
    ]


def _read_split(path: Path, found: Found) -> None:
    """Divide the samples as split.csv (stem,split) says; lone images need not be listed."""
    samples = {s.name: s for s in found.splits[""]}
    rows = read_table(path, ("stem", "split"))
    splits: dict[str, list[Sample]] = {}
    seen: dict[str, str] = {}
    broken = {Path(p.file).with_suffix("").name for p in found.problems}
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
            found.problems.append(Problem("lines of split.csv without an image", str(path), text))
    for name in sorted(samples.keys() - seen.keys()):
        text = "add a line to split.csv, or remove the image and its mask"
        found.problems.append(Problem("images not in split.csv", str(samples[name].image), text))
    found.splits = {s: sorted(splits[s], key=lambda x: x.name) for s in SPLITS if s in splits}
    lone = found.lone[""]
    found.lone = {s: [x for x in lone if seen.get(x.name, "") == s] for s in ("", *SPLITS)}


def raise_problems(root: Path, problems: Sequence[Problem]) -> None:
    """Raise for the first kind of problem: how many files, the first names, what to do."""
    if not problems:
        return
    kind = problems[0].kind
    same = [p for p in problems if p.kind == kind]
    if len(same) == 1:
        text = same[0].text if same[0].file in same[0].text else f"{same[0].file}: {same[0].text}"
        raise FrugalsegError(f"{text.rstrip('.')}.")
    names = ", ".join(Path(p.file).name for p in same[:3])
    raise FrugalsegError(
        f"{root}: {len(same)} {kind}: {names}{', ...' if len(same) > 3 else ''}. "
        f"The first: {same[0].text.rstrip('.')}."
    )


def size_problem(sample: Sample) -> Problem | None:
    """What is wrong with the sizes of an image and its mask, or with reading their headers."""
    try:
        image = image_size(sample.image)
    except FrugalsegError as error:
        return Problem("images that cannot be read", str(sample.image), str(error))
    if sample.mask is None:
        return None
    try:
        mask = image_size(sample.mask)
    except FrugalsegError as error:
        return Problem("masks that cannot be read", str(sample.mask), str(error))
    if image == mask:
        return None
    text = (
        f"its mask has {mask[0]}x{mask[1]} pixels, the image {image[0]}x{image[1]} (rows x columns)"
    )
    if image == mask[::-1]:
        text += "; the image may be turned by its EXIF orientation and the mask not"
    return Problem("images and masks of different size", str(sample.image), text)


def size_problems(samples: list[Sample]) -> list[Problem]:
    """`size_problem` of many samples, read in threads."""
    with ThreadPoolExecutor(8) as pool:
        return [problem for problem in pool.map(size_problem, samples) if problem]
