"""Give numba a folder for compiled code if it can write neither this package nor the user's cache.

numba refuses to compile code that it cannot store: in a container, or a system-wide install with a
home that cannot be written, every command would fail.
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path


def give_numba_a_cache() -> None:
    """Name a temporary folder in the environment, if there is no other, before numba is loaded."""
    places = [Path(__file__).parent, Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")]
    if "NUMBA_CACHE_DIR" not in os.environ and not any(map(_writable, places)):
        os.environ["NUMBA_CACHE_DIR"] = str(_own_folder())


def _own_folder() -> Path:
    """A temporary folder that nobody else can write: numba runs the code in it."""
    user = getattr(os, "getuid", lambda: 0)()
    folder = Path(tempfile.gettempdir()) / f"frugalseg-numba-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o077:
            return folder
    return Path(tempfile.mkdtemp(prefix="frugalseg-numba-"))


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, or made in its nearest parent that exists."""
    try:
        folder = folder.expanduser().absolute()
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    except (OSError, RuntimeError, StopIteration):  # there is no home, or it must not be read
        return False
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
