"""What preparing a data set shares: its folder, and resuming after an interruption."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from frugalseg.console import log
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json, write_json

STATE = "prepared.json"
_FORMAT = 1
_Jobs = TypeVar("_Jobs")


def prepare(
    out: Path,
    settings: Mapping[str, Any],
    check: Callable[[], _Jobs],
    write: Callable[[_Jobs], dict[str, int]],
) -> dict[str, int]:
    """Prepare a data set in a folder, unless the same command has done so already.

    Args:
        out: the folder; empty, missing, or begun by the same command.
        settings: everything that the files depend on, as plain data.
        check: looks through the source before anything is written; returns the jobs.
        write: writes those files that are missing; returns the number of images by split.

    Returns:
        Number of images by split.

    Raises:
        FrugalsegError: the folder holds something else, or was begun with other settings.
    """
    counts = _finished(out, settings)
    if counts is None:
        jobs = check()
        state: dict[str, Any] = {"format": _FORMAT, "settings": dict(settings), "images": None}
        write_json(state, out / STATE)
        for leftover in out.rglob(".*.part"):
            leftover.unlink(missing_ok=True)
        counts = write(jobs)
        write_json(state | {"images": counts}, out / STATE)
    log.info(f"Prepared in {out}. Next: frugalseg check {out}")
    return counts


def _finished(out: Path, settings: Mapping[str, Any]) -> dict[str, int] | None:
    """Number of images by split if the folder is finished; None if it is empty or only begun."""
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
        content = read_json(state)
        before, counts = dict(content["settings"]), content["images"]
    except (FrugalsegError, ValueError, KeyError, TypeError) as error:
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


def first_of(names: Iterable[str], count: int = 3) -> str:
    """The first names of many: ``a, b, c, ... (12)``; a single one as it is."""
    listed = list(names)
    more = f", ... ({len(listed)})" if len(listed) > count else ""
    return ", ".join(listed[:count]) + more
