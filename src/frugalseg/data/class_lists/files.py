"""Read the lines of class lists, also those that other tools write."""

import re
from pathlib import Path
from typing import Any

from frugalseg.data.class_lists.palette import Colour, distinct_colours
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json, read_table, read_text

# in the order in which they are looked for; the others than the first are of other tools
CLASS_FILES = (
    *("classes.csv", "class_dict.csv", "_classes.csv", "labelmap.txt", "label_colors.txt"),
    *("meta.json", "train/_classes.csv"),
)
COLUMNS = ("name", "id", "colour", "target")
Rows = list[tuple[int, dict[str, str]]]

_TABLE: tuple[tuple[str, ...], ...] = (
    ("name", "class", "label", "title", "class_name"),
    ("id", "pixel value", "value", "index", "class_id", ""),
    ("colour", "color", "rgb", "hex", ""),
    ("target", ""),
    *(("r", "red", ""), ("g", "green", ""), ("b", "blue", "")),
)
_WORDS = {"true": "yes", "false": "no", "1": "yes", "0": "no"}


def find_class_file(root: Path) -> Path | None:
    """The class list of a folder: its classes.csv, or one that another tool has written."""
    for name in CLASS_FILES:
        path = root / name
        if path.is_file() and (path.suffix != ".json" or _supervisely(path)):
            return path
    return None


def class_rows(path: Path) -> tuple[Rows, list[str]]:
    """The lines of a class list, with the columns of a classes.csv.

    Args:
        path: a table; lines ``name:r,g,b`` (CVAT) or ``r g b name`` (CamVid) in a file .txt; or the
            meta.json of Supervisely.

    Returns:
        Line and entries of each class; and a sentence for what the file does not say.

    Raises:
        FrugalsegError: the file cannot be read, or a column or a part of a line is missing.
    """
    if path.suffix.lower() == ".json":
        rows = [
            (number, {"name": str(c.get("title", "")), "colour": str(c.get("color", ""))})
            for number, c in enumerate(_supervisely(path), 1)
        ]
    elif path.suffix.lower() == ".txt":
        rows = _text_rows(path)
    else:
        rows = read_table(path, _TABLE)
    given = rows[0][1] if rows else {}
    notes = []
    if rows and "id" not in given:
        names = ", ".join(f"{row['name']} {i}" for i, (_, row) in enumerate(rows[:3]))
        more = ", ..." if len(rows) > 3 else ""
        notes.append(f"{path} gives no ids: they follow its order ({names}{more}).")
    if rows and "target" not in given:
        notes.append(f"{path} marks no targets (column 'target'): all classes count alike.")
    colours = distinct_colours(len(rows))
    return [(line, _canonical(row, i, colours[i])) for i, (line, row) in enumerate(rows)], notes


def _canonical(row: dict[str, str], place: int, colour: Colour) -> dict[str, str]:
    """The entries of a class as classes.csv holds them; what is missing is filled in."""
    rgb = " ".join(row.get(channel, "") for channel in "rgb").strip()
    target = row.get("target", "no")
    return {
        "name": row["name"],
        "id": re.sub(r"^(\d+)\.0*$", r"\1", row.get("id", str(place))),
        "colour": _hex(row.get("colour") or rgb or "#{:02x}{:02x}{:02x}".format(*colour)),
        "target": _WORDS.get(target.lower(), target),
    }


def _hex(colour: str) -> str:
    """A colour as #rrggbb, if it is written so or as three numbers; else as it is."""
    if re.fullmatch(r"[0-9a-fA-F]{6}", colour):
        return f"#{colour}"
    numbers = re.fullmatch(r"(?:rgb)?[(\[]?(\d{1,3})[,;\s]+(\d{1,3})[,;\s]+(\d{1,3})[)\]]?", colour)
    if numbers is None or max(map(int, numbers.groups())) > 255:
        return colour
    return "#{:02x}{:02x}{:02x}".format(*map(int, numbers.groups()))


def _text_rows(path: Path) -> Rows:
    """The lines of a list that is no table."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"([^:]+):(\d+,\d+,\d+)(?::.*)?", line.strip())
        name, colour = match.groups() if match else ("", "")
        if match is None and (match := re.fullmatch(r"(\d+\s+\d+\s+\d+)\s+(.+)", line.strip())):
            colour, name = match.groups()
        if match is None:
            raise FrugalsegError(
                f"{path}, line {number}: {line.strip()[:40]!r} is neither 'name:r,g,b' nor "
                "'r g b name'. Write a classes.csv (name,id,colour,target) instead."
            )
        rows.append((number, {"name": name, "colour": colour}))
    return rows


def _supervisely(path: Path) -> list[dict[str, Any]]:
    """The classes in a meta.json, without the boxes and points; none if it is another file."""
    try:
        classes = read_json(path)["classes"]
        return [c for c in classes if c["title"] and c.get("shape") not in ("rectangle", "point")]
    except (FrugalsegError, KeyError, TypeError, AttributeError):
        return []
