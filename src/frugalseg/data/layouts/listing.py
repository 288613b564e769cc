"""List the files of folders, and compare their names."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from frugalseg.errors import FrugalsegError

NAME_COLUMNS = ("filename", "image", "name", "path", "id")  # of tables, beside our own words
NO_FILES = "pipes and devices"
# what commonly lies beside images; lists of polygons are named where masks are missing
_COMPANIONS = frozenset(
    [
        *(".csv", ".tsv", ".txt", ".md", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".html"),
        *(".htm", ".pdf", ".log", ".ini", ".db", ".py"),
    ]
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


def files_below(
    folder: Path, suffixes: frozenset[str], others: Counter[str] | None = None
) -> list[Path]:
    """All files with these suffixes in a folder and below, sorted.

    Hidden files and folders of runs are left out: the images that a run writes are not data. Each
    folder is entered once, and none above the given one, so that links to folders repeat nothing.

    Args:
        folder: where to look.
        suffixes: in lower case, with the dot.
        others: is added up by the suffixes of the files left out, except text and tables; pipes,
            sockets and devices are counted as :data:`NO_FILES`.

    Raises:
        FrugalsegError: a folder cannot be read.
    """
    others = Counter() if others is None else others
    found: list[Path] = []
    seen = {_place(above) for above in folder.resolve().parents}
    folders, links = [folder], list[Path]()
    while folders or links:
        current = folders.pop() if folders else links.pop(0)  # a link only if nothing else is left
        place = _place(current)
        if place in seen:
            continue
        seen.add(place)
        for entry in entries_of(current):
            path, link = current / entry.name, entry.is_symlink()
            suffix = path.suffix.lower()
            if path.is_dir() if link else entry.is_dir():
                if not ((path / "config.yaml").is_file() and (path / "environment.json").is_file()):
                    (links if link else folders).append(path)
            elif link and not os.path.exists(path) and suffix in suffixes:  # noqa: PTH110 - loops
                found.append(path)  # reading it says that it leads nowhere
            elif not (path.is_file() if link else entry.is_file()):
                others[NO_FILES] += 1
            elif suffix in suffixes:
                found.append(path)
            elif suffix not in _COMPANIONS:
                others[suffix or "without a suffix"] += 1
    return sorted(found)


def _place(folder: Path) -> object:
    """What tells a folder from all others, whatever links lead to it."""
    try:
        status = folder.stat()
    except OSError as error:
        raise FrugalsegError(f"{folder} cannot be read ({error.strerror}).") from error
    # some file systems number no files
    return (status.st_dev, status.st_ino) if status.st_ino else folder.resolve()


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, sorted by name, without hidden files and folders.

    Raises:
        FrugalsegError: it cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            listed = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise FrugalsegError(f"{folder} cannot be read ({error.strerror}).") from error
    return sorted(listed, key=lambda entry: entry.name)


def others_sentence(folder: Path, others: Counter[str]) -> list[str]:
    """A sentence on the files that were left out, if there are any."""
    if not others:
        return []
    kinds = [f"{kind} {count}" for kind, count in others.most_common()]
    more = f", {len(kinds) - 8} more kinds" if len(kinds) > 8 else ""
    count = others.total()
    files = f"{count} file{'s' * (count > 1)} of {'other kinds' if count > 1 else 'another kind'}"
    return [f"{folder}: {files} left out: {', '.join(kinds[:8])}{more}."]


def normal_name(name: str) -> str:
    """A name in the one Unicode form in which names are compared: macOS decomposes umlauts."""
    return unicodedata.normalize("NFC", name)


def stem_below(path: Path, folder: Path) -> str:
    """A file's path below a folder, without the suffix, to be compared with others."""
    return normal_name(path.relative_to(folder).with_suffix("").as_posix())


def places_of(names: Sequence[str]) -> dict[str, int]:
    """Indices of files by their paths, and by each shorter form of these that is unique.

    Args:
        names: paths below a folder, with suffixes.

    Returns:
        By :func:`normal_name` of the paths with and without suffix, and of their last parts.
    """
    places: dict[str, int | None] = {}
    paths = [PurePosixPath(normal_name(name)) for name in names]
    shorter = (
        [str(path.with_suffix("")) for path in paths],
        [path.name for path in paths],
        [path.stem for path in paths],
    )
    for keys in shorter:
        for i, key in enumerate(keys):
            places[key] = i if places.get(key, i) == i else None
    places |= {str(path): i for i, path in enumerate(paths)}
    return {name: i for name, i in places.items() if i is not None}
