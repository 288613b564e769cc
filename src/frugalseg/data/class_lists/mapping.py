"""Read the class list of a folder, and merge its classes into coarser ones by a mapping file."""

from collections.abc import Sequence
from pathlib import Path

from frugalseg.console import log
from frugalseg.data.class_lists.classes import (
    IGNORED_NAMES,
    MAX_ID,
    ClassList,
    FineClass,
    SegmentationClass,
    ignored_ids,
    read_classes,
)
from frugalseg.data.class_lists.files import find_class_file
from frugalseg.data.class_lists.palette import distinct_colours
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_table

_SUPPLIED = Path(__file__).with_name("mappings")


def declared_classes(
    root: Path,
    path: Path | str | None,
    ignore: Sequence[str | int],
    targets: Sequence[str] | None,
    mapping: Path | str | None,
) -> ClassList | None:
    """Read the class list from files; None if it has to be inferred from the masks.

    Args:
        root: the folder of the masks.
        path: a classes.csv; by default the one in the folder, or a list of another tool there.
        ignore: names or ids of classes left out of training and scoring.
        targets: names of the target classes, in place of those that the file marks.
        mapping: a mapping file (also looked for in the folder), or the name of a supplied one.

    Raises:
        FrugalsegError: a file cannot be read, or names do not fit.
    """
    if path is None:
        path = find_class_file(root)
        if path is not None and path.name != "classes.csv":
            log.info(f"The classes are those of {path}.")
    classes = None
    if path is not None:
        classes = read_classes(path, ignore if mapping is None else ())
    if mapping is not None:
        classes = merge_classes(classes, mapping_path(root, mapping), ignore)
    return classes if classes is None or targets is None else classes.with_targets(targets)


def supplied_mappings() -> dict[str, Path]:
    """The mapping files that come with the package, by name: camvid-3, cocostuff-27, potsdam-3."""
    return {path.stem: path for path in sorted(_SUPPLIED.glob("*.csv"))}


def mapping_path(root: Path, mapping: Path | str) -> Path:
    """Find a mapping file: at this path, in the folder, or among the supplied ones.

    Args:
        root: the data folder.
        mapping: a path, or a name of `supplied_mappings`.

    Raises:
        FrugalsegError: there is no such file.
    """
    supplied = supplied_mappings()
    for path in (Path(mapping), root / mapping, supplied.get(str(mapping))):
        if path is not None and path.exists():
            return path
    raise FrugalsegError(
        f"{mapping}: there is no such mapping file, and none of this name is supplied "
        f"(there are {', '.join(supplied)})."
    )


def merge_classes(
    classes: ClassList | None, path: Path | str, ignore: Sequence[str | int] = ()
) -> ClassList:
    """Merge classes into coarser ones.

    A coarse class is a target if all of its fine classes are.

    Args:
        classes: the fine classes; None if masks hold ids and there is no list.
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
    targets = {id_: [known[f].target for f in known if into.get(f) == id_] for id_ in names}
    coarse = [
        SegmentationClass(names[id_], id_, colour, bool(targets[id_]) and all(targets[id_]))
        for id_, colour in zip(sorted(names), distinct_colours(len(names)), strict=True)
    ]
    unnamed = {c.id for c in coarse if c.name.lower() in IGNORED_NAMES}
    left_out = ignored_ids(coarse, ignore) | unnamed
    fine = tuple(
        FineClass(id_, into.get(id_), known[id_].colour if id_ in known else None)
        for id_ in sorted(into.keys() | known.keys())
    )
    return ClassList(tuple(coarse), frozenset(left_out), fine)


def _read_mapping(path: Path) -> tuple[dict[int, int], dict[int, str]]:
    """Read the coarse id of each fine id, and the name of each coarse id."""
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
        if not (0 <= fine <= MAX_ID and 0 <= coarse <= MAX_ID):
            raise FrugalsegError(f"{path}, line {line}: ids must lie from 0 to {MAX_ID}.")
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
