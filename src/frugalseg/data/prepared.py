"""What preparing a data set shares: its folder, going on after an interruption, threads."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from frugalseg.errors import FrugalsegError
from frugalseg.files import write_json

STATE = "prepared.json"
_FORMAT = 1
_THREADS = 4
Progress = Callable[[int, int], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


def finished(out: Path, settings: Mapping[str, Any]) -> dict[str, int] | None:
    """Look whether a folder can take a data set: an empty one, or one that the same command began.

    Args:
        out: the folder; it may be missing, and nothing is changed.
        settings: all that what is written depends on, as JSON holds it.

    Returns:
        Its number of images by split where it is finished already, else None.

    Raises:
        FrugalsegError: it holds something else, or was begun with other settings.
    """
    if out.exists() and not out.is_dir():
        raise FrugalsegError(f"{out} is a file: give another --out.")
    state = out / STATE
    if not state.exists():
        if out.exists() and any(out.iterdir()):
            raise FrugalsegError(
                f"{out} is not empty and not begun by this command: give another --out."
            )
        return None
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        before, counts = dict(found["settings"]), found["images"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FrugalsegError(
            f"{state} cannot be read: remove {out} and prepare it again."
        ) from error
    for name in sorted(before.keys() | settings.keys()):
        if before.get(name) != settings.get(name):
            raise FrugalsegError(
                f"{out} was prepared with other settings ({name}: {before.get(name)!r} there, "
                f"{settings.get(name)!r} asked): give another --out."
            )
    return None if counts is None else dict(counts)


def claim(out: Path, settings: Mapping[str, Any], counts: Mapping[str, int] | None = None) -> None:
    """Say in the folder what it is to hold, and when it is whole how many images by split.

    Leftovers of an interruption are removed.
    """
    state = {"format": _FORMAT, "settings": dict(settings), "images": counts}
    write_json(state, out / STATE)
    for leftover in out.rglob(".*.part"):
        leftover.unlink(missing_ok=True)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results of `work` in the order of the items; what is not begun is dropped on an error."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def some(names: Iterable[str], most: int = 3) -> str:
    """The first names of many: ``a, b, c, ... (12)``; one alone as it is."""
    listed = list(names)
    more = f", ... ({len(listed)})" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
