"""What the commands of all tasks share."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError


def say(text: str) -> None:
    """A line for the person watching; results themselves go to standard output."""
    sys.stderr.write(text + "\n")


def result_path(folder: Path, data: str, split: str) -> Path:
    """Where the result of a run on a split of a data set lies."""
    return folder / "results" / f"{data}-{split}.json"


def progress(items: Iterable[Any], unit: str) -> Iterable[Any]:
    """A progress bar, where someone watches."""
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, unit=unit, disable=not sys.stderr.isatty())
    return bar


def named(
    inputs: Sequence[Path], list_images: Any, with_suffix: bool = False
) -> list[tuple[Path, str]]:
    """All image files with the name of what is written for each; names must not collide."""
    files = []
    for given in inputs:
        for path in list_images(given):
            relative = path.relative_to(given) if given.is_dir() else Path(path.name)
            name = relative if with_suffix else relative.with_suffix("")
            files.append((path, name.as_posix()))
    names = [name for _, name in files]
    if len(set(names)) < len(names):
        double = next(n for n in names if names.count(n) > 1)
        raise FrugalsegError(
            f"Several images would be written as {double}{'' if with_suffix else '.png'}: "
            "give one folder at a time."
        )
    return files


def same_data(runs: Sequence[tuple[Path, str]]) -> None:
    """Refuse to compare runs of different data: folders of runs, and the data of each."""
    first, data = runs[0][0], Path(runs[0][1]).resolve().name
    for folder, other in runs:
        name = Path(other).resolve().name
        if name != data:
            raise FrugalsegError(
                f"{first} was trained on {data}, {folder} on {name}: compare runs on one data set."
            )
