"""Reading small CSV tables with a sentence for everything that may be wrong with them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from frugalseg.errors import FrugalsegError


def read_table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a comma-separated file whose first line names its columns.

    Args:
        path: the file, UTF-8.
        columns: names that must be among its columns; others are ignored.

    Returns:
        For each line its number and its entries, stripped, "" where the line is too short.

    Raises:
        FrugalsegError: the file cannot be read, or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FrugalsegError(f"{path} cannot be read as a table ({reason}).") from error
    header = [name.strip().lower() for name in lines[0][1]] if lines else []
    for column in columns:
        if column not in header:
            raise FrugalsegError(
                f"{path}, line 1: there is no column {column!r}. "
                f"The first line must hold {','.join(columns)}."
            )
    places = [header.index(column) for column in columns]
    return [
        (number, {c: _entry(line, place) for c, place in zip(columns, places, strict=True)})
        for number, line in lines[1:]
        if any(entry.strip() for entry in line)
    ]


def _entry(line: Sequence[str], place: int) -> str:
    return line[place].strip() if place < len(line) else ""
