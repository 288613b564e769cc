"""Writing files so that a crash or a full disk leaves either the old file or none."""

import functools
import json
import os
import secrets
from collections.abc import Iterable, Iterator
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


def refuse_overwriting(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse to write where something lies that is to be read.

    Args:
        inputs: files that are read.
        outputs: files that are to be written, which `replacing` would put in their place.

    Raises:
        FrugalsegError: the first file that would be overwritten.
    """
    folder = functools.cache(Path.resolve)
    # a link that is written to is replaced, one that is read leads to what must not be
    read = {folder(path.parent) / path.name for path in inputs}
    read |= {path.resolve() for path in read if path.is_symlink()}
    for path in outputs:
        if folder(path.parent) / path.name in read:
            raise FrugalsegError(
                f"{path} would be overwritten by what is made of the images: "
                "name another folder with --out."
            )


def write_whole(content: bytes | memoryview, path: Path | str) -> None:
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


def read_json_lines(path: Path | str) -> list[dict[str, Any]]:
    """Read a file of JSON objects, one a line, to which lines are appended.

    A last line that is no JSON is left out: a full disk or a kill came in between.

    Args:
        path: the file.

    Raises:
        FrugalsegError: the file cannot be read, or an earlier line is no JSON.
    """
    try:
        texts = Path(path).read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FrugalsegError(f"{path} cannot be read ({error.strerror or error}).") from error
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            lines.append(json.loads(text))
        except ValueError as error:
            if number == len(texts):
                break
            raise FrugalsegError(f"{path}, line {number}, is no JSON: remove this line.") from error
    return lines
