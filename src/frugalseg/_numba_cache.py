"""Give numba a place for compiled code where neither this package nor the user's cache is one.

numba refuses to compile what it cannot keep: in a container or a system-wide install with a home
that cannot be written every command would fail.
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def give_numba_a_cache() -> None:
    """Name a temporary folder in the environment where there is no other; before numba comes."""
    if "NUMBA_CACHE_DIR" not in os.environ and not _has_place():
        os.environ["NUMBA_CACHE_DIR"] = str(_own_folder())


def _own_folder() -> Path:
    """A temporary folder that nobody else can write: numba runs what it finds there."""
    user = getattr(os, "getuid", lambda: 0)()
    folder = Path(tempfile.gettempdir()) / f"frugalseg-numba-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        there = folder.lstat()
        if stat.S_ISDIR(there.st_mode) and there.st_uid == user and not there.st_mode & 0o077:
            return folder
    return Path(tempfile.mkdtemp(prefix="frugalseg-numba-"))


def _has_place() -> bool:
    places = [Path(__file__).parent, Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")]
    return any(_writable(place) for place in places)


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, or made in the nearest one that exists."""
    try:
        folder = folder.expanduser().absolute()
        there = next(place for place in (folder, *folder.parents) if place.exists())
    except (OSError, RuntimeError, StopIteration):  # no home at all, or none that may be looked at
        return False
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
