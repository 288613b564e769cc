"""Writing files so that a crash or a full disk leaves either the old file or none."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success the file written there takes its place.

    Args:
        path: where the file shall be in the end; missing folders are made.

    Raises:
        FrugalsegError: the folder cannot be made or written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - replaces an existing file on every system
    except OSError as error:
        raise FrugalsegError(
            f"{path} cannot be written ({error.strerror or error}). "
            "Choose another place or make room there."
        ) from error
    finally:
        with suppress(OSError):  # the parent may be no folder
            temporary.unlink(missing_ok=True)


def write_whole(content: bytes, path: Path | str) -> None:
    """Write a file through a temporary name beside it: the whole of it is there, or nothing.

    Args:
        content: what the file shall hold.
        path: where; missing folders are made, an older file is replaced.

    Raises:
        FrugalsegError: the file cannot be written; an older one is left as it was.
    """
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(content)


def write_json(value: Any, path: Path | str) -> None:
    """Write plain data as JSON, whole or not at all.

    Args:
        value: what the file shall hold.
        path: where; missing folders are made, an older file is replaced.

    Raises:
        ValueError: a number is not finite.
        FrugalsegError: the file cannot be written; an older one is left as it was.
    """
    write_whole((json.dumps(value, indent=2, allow_nan=False) + "\n").encode(), path)
