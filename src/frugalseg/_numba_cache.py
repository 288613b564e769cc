"""Give numba a place for compiled code where neither this package nor the user's cache is one.

numba refuses to compile what it cannot keep: in a container or a system-wide install with a home
that cannot be written every command would fail.
"""

import os
import tempfile
from pathlib import Path


def give_numba_a_cache() -> None:
    """Name a temporary folder in the environment where there is no other; before numba comes."""
    if "NUMBA_CACHE_DIR" not in os.environ and not _has_place():
        user = getattr(os, "getuid", lambda: 0)()
        folder = Path(tempfile.gettempdir()) / f"frugalseg-numba-{user}"
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


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
    return os.access(there, os.W_OK)
