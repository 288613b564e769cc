"""Names of what commands write: run folders, results, and answers for images."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.data.layouts.photographs import list_images
from frugalseg.errors import FrugalsegError
from frugalseg.files import folder_name, same_path


def data_name(own: Path | str, other: Path | str | None) -> str:
    """The name of data in the name of a result file.

    Other data in a folder of the same name must not overwrite the result of the run's own data,
    which comparisons read.

    Args:
        own: the run's own data.
        other: the data to score on; None for its own.

    Returns:
        The folder's name. For other data of the same name, it is preceded by the names of the
        parents, up to where they differ: `site2-data`.
    """
    return _distinguishing_name(own, own if other is None else other)


def label_name(option: str, own: Path | str | None, other: Path | str | None) -> str:
    """The part of a result file's name for labels or masks that are not the run's own.

    Args:
        option: the option that names them.
        own: those of the run.
        other: those to score by; None for its own.

    Returns:
        Nothing for the run's own; else such as `-by-to_label`, or `-named-by-to_label` for the
        images whose masks may be used.
    """
    if other is None or (own is not None and same_path(own, other)):
        return ""
    name = _distinguishing_name(own or "", other).removesuffix(".csv")
    return f"-{'named-by' if option == 'labelled' else 'by'}-{name}"


def _distinguishing_name(own: Path | str, other: Path | str) -> str:
    """A path's name, preceded by its parents' names up to where they differ from another path's."""
    parts = Path(other).resolve().parts[::-1]
    pairs = enumerate(zip(Path(own).resolve().parts[::-1], parts, strict=False), 1)
    count = next((i for i, (one, two) in pairs if one != two), 1)
    return "-".join(part.strip("/\\:") or "root" for part in parts[:count][::-1])


def name_files(inputs: Sequence[Path], keep_suffix: bool = False) -> list[tuple[Path, str]]:
    """List image files with a name for the answer to each; names must not collide.

    Args:
        inputs: image files, folders or patterns.
        keep_suffix: keep the suffix in every name; else only if names differ in nothing else.

    Raises:
        FrugalsegError: two images have the same name.
    """
    files = []
    for source in inputs:
        for path in list_images(source):
            files.append((path, path.relative_to(source) if source.is_dir() else Path(path.name)))
    stems = Counter(relative.with_suffix("") for _, relative in files)
    names: dict[str, Path] = {}
    for path, relative in files:
        stem = relative.with_suffix("")
        name = (relative if keep_suffix or stems[stem] > 1 else stem).as_posix()
        if name in names:
            raise FrugalsegError(
                f"{names[name]} and {path} would be written under one name, {name}: give one "
                "folder at a time, and each image once."
            )
        names[name] = path
    return [(path, name) for name, path in names.items()]


def default_run_folder(config: Any, *words: object) -> Path:
    """The default folder of a run: below ``runs/``, named by its data, words and seed."""
    name = "-".join(map(str, (folder_name(config.data), *words, config.seed)))
    return Path("runs") / name
