"""Coarser classes from finer ones: mapping files, the user's own and those that are supplied."""

from collections.abc import Sequence
from pathlib import Path

from frugalseg.data._tables import read_table
from frugalseg.data.classes import ClassList, FineClass, SegmentationClass, ignored_ids
from frugalseg.data.colours import distinct_colours
from frugalseg.errors import FrugalsegError

_SUPPLIED = Path(__file__).with_name("mappings")


def supplied_mappings() -> dict[str, Path]:
    """The mapping files that come with the package, by name: camvid-3, cocostuff-27, potsdam-3."""
    return {path.stem: path for path in sorted(_SUPPLIED.glob("*.csv"))}


def mapping_path(root: Path, mapping: Path | str) -> Path:
    """Where a mapping file is: as given, in the folder, or supplied under this name.

    Args:
        root: the data folder.
        mapping: a path, or a name of `supplied_mappings`.

    Raises:
        FrugalsegError: there is none.
    """
    supplied = supplied_mappings()
    for path in (Path(mapping), root / mapping, supplied.get(str(mapping))):
        if path is not None and path.is_file():
            return path
    raise FrugalsegError(
        f"{mapping}: there is no such mapping file, and none of this name is supplied "
        f"(there are {', '.join(supplied)})."
    )


def merge_classes(
    classes: ClassList | None, path: Path | str, ignore: Sequence[str | int] = ()
) -> ClassList:
    """Merge classes into coarser ones.

    A coarse class is a target where all of its fine classes are.

    Args:
        classes: the fine classes; None where there is no list (masks of ids alone).
        path: a CSV file with the columns fine_id, fine_name, coarse_id, coarse_name.
        ignore: names or ids of coarse classes to leave out.

    Raises:
        FrugalsegError: the file cannot be read, or does not fit the class list.
    """
    path = Path(path)
    into, names = _read_mapping(path)
    known = {c.id: c for c in classes.classes} if classes else {}
    ignored = classes.ignored_ids if classes else frozenset[int]()
    for c in known.values():
        if c.id not in into and c.id not in ignored:
            raise FrugalsegError(f"{path}: no line for the class {c.name} (id {c.id}). Add one.")
    extra = sorted(into.keys() - known.keys()) if classes else []
    if extra:
        raise FrugalsegError(f"{path}: the fine id {extra[0]} is not in the class list.")
    members = {
        coarse: [known[f].target for f in into if f in known and into[f] == coarse]
        for coarse in names
    }
    coarse = [
        SegmentationClass(names[id_], id_, colour, bool(members[id_]) and all(members[id_]))
        for id_, colour in zip(sorted(names), distinct_colours(len(names)), strict=True)
    ]
    left_out = ignored_ids(coarse, ignore) | {
        c.id for c in coarse if c.name.lower() in ("void", "ignore", "ignored")
    }
    fine = tuple(
        FineClass(id_, into.get(id_), known[id_].colour if id_ in known else None)
        for id_ in sorted(into.keys() | known.keys())
    )
    return ClassList(tuple(coarse), frozenset(left_out), fine)


def _read_mapping(path: Path) -> tuple[dict[int, int], dict[int, str]]:
    """Coarse id by fine id, and coarse name by coarse id."""
    into: dict[int, int] = {}
    names: dict[int, str] = {}
    rows = read_table(path, ("fine_id", "fine_name", "coarse_id", "coarse_name"))
    for line, row in rows:
        try:
            fine, coarse = int(row["fine_id"]), int(row["coarse_id"])
        except ValueError:
            raise FrugalsegError(
                f"{path}, line {line}: fine_id and coarse_id must be whole numbers."
            ) from None
        name = row["coarse_name"]
        if not (0 <= fine <= 65535 and 0 <= coarse <= 65535):
            raise FrugalsegError(f"{path}, line {line}: ids must lie from 0 to 65535.")
        if fine in into:
            raise FrugalsegError(f"{path}, line {line}: the fine id {fine} is listed twice.")
        if names.setdefault(coarse, name) != name:
            raise FrugalsegError(
                f"{path}, line {line}: the coarse id {coarse} is {names[coarse]!r} and {name!r}."
            )
        into[fine] = coarse
    if not into:
        raise FrugalsegError(f"{path}: the mapping is empty.")
    return into, names
