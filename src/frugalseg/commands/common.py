"""What the commands of all tasks share."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError


def say(text: str) -> None:
    """A line for the person watching; results themselves go to standard output."""
    sys.stderr.write(text + "\n")


def result_path(folder: Path, data: str, split: str, by: str = "") -> Path:
    """Where the result of a run on a split of a data set lies.

    Args:
        folder: the run's.
        data: what `data_name` says.
        split: of the data.
        by: what `label_name` says.
    """
    return folder / "results" / f"{data}-{split}{by}.json"


def same_place(one: Path | str, other: Path | str) -> bool:
    """Whether two paths mean one file or folder."""
    return Path(one).resolve() == Path(other).resolve()


def data_name(own: Path | str, given: Path | str | None) -> str:
    """What data are called in the name of a result file.

    Other data whose folder is called as that of the run's own must not take the place of its
    result, which comparisons read.

    Args:
        own: the run's own data.
        given: what it is scored on; None: its own.

    Returns:
        The folder's name; before it, for such other data, those of its parents up to where they
        differ: `site2-data`.
    """
    return _apart(own, own if given is None else given)


def label_name(own: Path | str | None, given: Path | str | None) -> str:
    """What a result file's name says of labels, or masks, that are not the run's own.

    Args:
        own: those of the run.
        given: those that it is scored by; None: its own.

    Returns:
        Nothing for its own, else such as `-by-to_label`.
    """
    if given is None or (own is not None and same_place(own, given)):
        return ""
    return f"-by-{_apart(own or '', given).removesuffix('.csv')}"


def _apart(own: Path | str, other: Path | str) -> str:
    """A path's name, after its parents' up to where they differ from those of another path."""
    parts = Path(other).resolve().parts[::-1]
    pairs = enumerate(zip(Path(own).resolve().parts[::-1], parts, strict=False), 1)
    count = next((i for i, (one, two) in pairs if one != two), 1)
    return "-".join(part.strip("/\\:") or "root" for part in parts[:count][::-1])


def progress(items: Iterable[Any], unit: str) -> Iterable[Any]:
    """A progress bar, where someone watches."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, unit=unit, disable=not sys.stderr.isatty())
    return bar


def named(
    inputs: Sequence[Path], list_images: Any, with_suffix: bool = False
) -> list[tuple[Path, str]]:
    """All image files with the name of what is written for each; names must not collide.

    Args:
        inputs: files, and folders or patterns of them.
        list_images: finds the images of one of these.
        with_suffix: names keep the suffix; else those alone do that differ by nothing else.

    Raises:
        FrugalsegError: two images have one name.
    """
    files = []
    for given in inputs:
        for path in list_images(given):
            files.append((path, path.relative_to(given) if given.is_dir() else Path(path.name)))
    bare = Counter(relative.with_suffix("") for _, relative in files)
    names: dict[str, Path] = {}
    for path, relative in files:
        keeps = with_suffix or bare[relative.with_suffix("")] > 1
        name = (relative if keeps else relative.with_suffix("")).as_posix()
        if name in names:
            raise FrugalsegError(
                f"{names[name]} and {path} would be written under one name, {name}: give one "
                "folder at a time, and each image once."
            )
        names[name] = path
    return [(path, name) for name, path in names.items()]


def same_data(runs: Sequence[tuple[Path, str]]) -> None:
    """Refuse to compare runs of different data: folders of runs, and the data of each."""
    first, data = runs[0][0], Path(runs[0][1]).resolve().name
    for folder, other in runs:
        name = Path(other).resolve().name
        if name != data:
            raise FrugalsegError(
                f"{first} was trained on {data}, {folder} on {name}: compare runs on one data set."
            )
