"""Read files that may be anything; write them so that a crash or a full disk leaves the old one.

In tables, bytes of a name that are not UTF-8 are written like ``\\udcff`` (here of 255), control
characters like ``\\u000a``, and entries that a spreadsheet would take for a formula, or whose first
space would be lost, behind an apostrophe; reading undoes all of it.
"""

import codecs
import csv
import functools
import io
import json
import os
import re
import secrets
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import normalize

import yaml

from frugalseg.console import track
from frugalseg.errors import FrugalsegError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_LIMIT, _YAML_LIMIT = 1 << 30, 1 << 18  # bytes
_YAML_DEPTH = 20
_GUARDED = re.compile(r"'*( |[=+@-](?![\d.]+\Z))")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_ODD = re.compile(r"[\x00-\x1f\x7f\udc80-\udcff]|\\(?=u[0-9a-f]{4})")


def regular_file(path: Path) -> Path:
    """Refuse to open a pipe, a socket or a device: reading it may wait or go on for ever.

    Returns:
        The path.

    Raises:
        FrugalsegError: it leads to something else than a file.
        OSError: it cannot be looked up.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise FrugalsegError(f"{path} is {kind}, not a file: give an ordinary file.")
    return path


@contextmanager
def _reading(path: Path, advice: str) -> Iterator[None]:
    """Turn what is wrong with a file into a sentence."""
    try:
        yield
    except (OSError, ValueError, RecursionError, csv.Error, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, OSError):
            reason = error.strerror or reason
            advice = advice if isinstance(error, FileNotFoundError) else ""
        elif isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8: save it as UTF-8"
        elif isinstance(error, json.JSONDecodeError):
            reason = f"it is not JSON: {reason}"
        elif isinstance(error, RecursionError):
            reason = "it is nested too deeply"
        raise FrugalsegError(f"{path} cannot be read ({reason}). {advice}".strip()) from error


def read_text(path: Path | str, advice: str = "", limit: int = _LIMIT) -> str:
    """Read a text: UTF-8, UTF-16 with its mark, or else the code page of Western Windows.

    Args:
        path: the file.
        advice: a sentence that says what to do if it cannot be read.
        limit: its greatest size in bytes.

    Raises:
        FrugalsegError: it is missing, no file, too large, or no text.
    """
    path = Path(path)
    with _reading(path, advice), regular_file(path).open("rb") as file:
        content = file.read(limit + 1)
        if len(content) > limit:
            raise ValueError(f"it has more than {limit:,} bytes")
        return _decode(content)


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def read_json(path: Path | str, advice: str = "") -> Any:
    """Read a JSON file; the arguments and errors are those of :func:`read_text`."""
    text = read_text(path, advice)
    with _reading(Path(path), advice):
        return json.loads(text)


def read_yaml(path: Path | str, advice: str = "") -> Any:
    """Read a YAML file of plain values; the arguments and errors are those of :func:`read_text`."""
    text = read_text(path, advice, _YAML_LIMIT)
    with _reading(Path(path), advice):
        return parse_yaml(text)


def parse_yaml(text: str) -> Any:
    """The plain values in a YAML text.

    Raises:
        ValueError, yaml.YAMLError: it is not YAML, holds aliases or tags, is nested too deeply, or
            gives a key twice.
    """
    return yaml.load(text, _PlainLoader)


class _PlainLoader(yaml.SafeLoader):
    """Refuses what may grow without end or fail (aliases, tags, depth), and keys given twice."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.tag:
            raise yaml.YAMLError("it has an alias (*) or a tag (!): write the plain value")
        self.depth += 1
        if self.depth > _YAML_DEPTH:
            raise yaml.YAMLError("it is nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [str(key.value) for key, _ in node.value]
        if twice := next((key for key, count in Counter(keys).items() if count > 1), None):
            raise yaml.YAMLError(f"{twice!r} is given twice: keep one")
        return super().construct_mapping(node, deep)


@contextmanager
def atomic_replace(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success the file written there replaces `path`.

    Args:
        path: the final place of the file; missing folders are made.

    Raises:
        FrugalsegError: the folder cannot be made or written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)  # noqa: PTH105 - replaces an existing file on every system
    except OSError as error:
        taken = isinstance(error, FileExistsError)  # when the folder is to be made
        reason = f"{path.parent} is a file" if taken else error.strerror or error
        raise FrugalsegError(
            f"{path} cannot be written ({reason}). Choose another place or make room there."
        ) from error
    finally:
        with suppress(OSError):  # the parent may not be a folder
            temporary.unlink(missing_ok=True)


def refuse_overwriting(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Refuse to overwrite files that are about to be read, and to write a file twice.

    Args:
        inputs: files to read.
        outputs: files to write with :func:`atomic_replace`.

    Raises:
        FrugalsegError: names the first file that would be overwritten.
    """
    folder = functools.cache(Path.resolve)
    # a link to write is itself replaced; a link to read leads to a file that must be kept
    read = {folder(path.parent) / path.name for path in inputs}
    read |= {path.resolve() for path in read if path.is_symlink()}
    written = set()
    for path in outputs:
        if path in written:
            raise FrugalsegError(f"{path} would be written for two images: rename one of them.")
        written.add(path)
        if folder(path.parent) / path.name in read:
            raise FrugalsegError(
                f"{path} would be overwritten by what is made of the images: "
                "name another folder with --out."
            )


def atomic_write(content: bytes | memoryview, path: Path | str) -> None:
    """Write a file atomically, through a temporary file beside it.

    Args:
        content: of the file.
        path: the file; missing folders are made, an older file is replaced.

    Raises:
        FrugalsegError: the file cannot be written; an older one is left as it was.
    """
    with atomic_replace(Path(path)) as temporary:
        temporary.write_bytes(content)


def write_text(text: str, path: Path | str) -> None:
    """Write a text as UTF-8, atomically; of names that are not UTF-8 the odd bytes are escaped.

    Args:
        text: the content of the file.
        path: the file; missing folders are made, an older file is replaced.

    Raises:
        FrugalsegError: the file cannot be written; an older one is left as it was.
    """
    atomic_write(text.encode("utf-8", "backslashreplace"), path)


def write_json(value: Any, path: Path | str) -> None:
    """Write plain data as JSON, atomically.

    Args:
        value: the content of the file.
        path: the file; missing folders are made, an older file is replaced.

    Raises:
        ValueError: a number is not finite.
        FrugalsegError: the file cannot be written; an older one is left as it was.
    """
    write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", path)


def write_csv(rows: Iterable[Sequence[Any]], path: Path | str) -> None:
    """Write a comma-separated file, atomically.

    Args:
        rows: the header and the lines.
        path: the file; missing folders are made, an older file is replaced.

    Raises:
        FrugalsegError: the file cannot be written; an older one is left as it was.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(_written(str(cell)) for cell in row)
    write_text(text.getvalue(), path)


def _written(entry: str) -> str:
    """An entry as it stands in a table."""
    cell = _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", entry)
    return f"'{cell}" if _GUARDED.match(cell) else cell


def _entry(cell: str) -> str:
    """An entry as it was before it was written."""
    cell = cell.strip()
    cell = cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell
    return normalize("NFC", _ESCAPED.sub(lambda code: chr(int(code[1], 16)), cell))


def read_table(
    path: Path, columns: Sequence[str | tuple[str, ...]]
) -> list[tuple[int, dict[str, str]]]:
    """Read a table whose first line names its columns, separated by commas, semicolons or tabs.

    Args:
        path: the file.
        columns: names that must be among its columns; others are ignored. A tuple holds names of
            the same column, and "" if it may be missing; its first name is used in the answer.

    Returns:
        The number of each line and its entries, stripped and in Unicode's composed form (NFC), ""
        if the line is too short. Columns that are missing are in no line.

    Raises:
        FrugalsegError: the file cannot be read, or a column is missing.
    """
    text = read_text(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)  # as spreadsheets write them
    with _reading(path, "It must be a table (CSV): is a quotation mark left open?"):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, [_entry(cell) for cell in line]) for line in reader]
    header = [name.lower() for name in lines[0][1]] if lines else []
    alternatives = [(column,) if isinstance(column, str) else column for column in columns]
    places = {}
    for names in alternatives:
        named = next((name for name in names if name in header), None)
        if named is not None:
            places[names[0]] = header.index(named)
        elif "" not in names:
            needed = ",".join(each[0] for each in alternatives if "" not in each)
            raise FrugalsegError(
                f"{path}, line 1: there is no column {names[0]!r}. "
                f"The first line must hold {needed}."
            )
    return [
        (number, {column: "".join(line[i : i + 1]) for column, i in places.items()})
        for number, line in lines[1:]
        if any(line)
    ]


def read_json_lines(path: Path | str) -> list[dict[str, Any]]:
    """Read a file of JSON objects, one on each line.

    A last line that is not JSON is skipped: the program was stopped, or the disk was full, while it
    was written.

    Raises:
        FrugalsegError: the file cannot be read, or an earlier line is not JSON.
    """
    with _reading(Path(path), ""):
        texts = regular_file(Path(path)).read_text("utf-8", "replace").splitlines()
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            line = json.loads(text)
            if not isinstance(line, dict):
                raise ValueError("no object")
            lines.append(line)
        except (ValueError, RecursionError) as error:
            if number == len(texts):
                break
            raise FrugalsegError(f"{path}, line {number}, is no JSON: remove this line.") from error
    return lines


def folder_name(path: Path | str) -> str:
    """The name of a folder, even if the path is "." or ".."."""
    return Path(path).resolve().name or "root"


def same_path(one: Path | str, other: Path | str) -> bool:
    """Whether two paths lead to the same file or folder."""
    return Path(one).resolve() == Path(other).resolve()


def in_threads(
    work: Callable[[Item], Answer], items: Sequence[Item], unit: str = ""
) -> Iterator[Answer]:
    """Process many files, several at a time.

    Args:
        work: is called with each item.
        items: the files, or objects that stand for them.
        unit: a plural noun for a progress bar; without it there is no bar.

    Yields:
        The results of `work`, in the order of the items. After an error no further item is started.
    """
    pool = ThreadPoolExecutor(4)
    try:
        answers = pool.map(work, items)
        yield from track(answers, unit, len(items)) if unit else answers
    finally:
        pool.shutdown(cancel_futures=True)
