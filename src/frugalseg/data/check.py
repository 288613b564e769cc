"""Looking through a data folder: what it holds, and everything that is wrong with it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from frugalseg.data.binary_masks import ADVICE, BINARY, BinaryMasks, kind_of_mask, may_be_slips
from frugalseg.data.classes import IGNORE_INDEX, ClassList
from frugalseg.data.folder import divide, folder_classes
from frugalseg.data.images import describe_image, read_image
from frugalseg.data.layout import Problem, Sample, find_samples, size_problem
from frugalseg.data.masks import encode_mask, read_raw
from frugalseg.data.targets import area_and_edge, only_at_edges, small_or_thin
from frugalseg.errors import FrugalsegError

_THREADS = 4
_FOLDER = "the folder as a whole"
DARK = 32  # of 255: images of 16 bits that are darker everywhere hold fewer bits
Size = tuple[int, int]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ClassReport:
    """One class: its shares of the pixels by split (0 to 1), and in how many images it occurs.

    `looks_like_target` says why it is small or thin, or is None; `target` is what the class list
    says.
    """

    name: str
    id: int
    target: bool
    shares: dict[str, float]
    images: int
    looks_like_target: str | None


@dataclass(frozen=True)
class FolderReport:
    """What a data folder holds: images by split, size and mode, its classes, and its problems.

    `hints` are sentences about what may be wrong.
    """

    root: Path
    splits: dict[str, int] = field(default_factory=dict)
    sizes: dict[Size, int] = field(default_factory=dict)
    image_modes: dict[str, int] = field(default_factory=dict)
    mask_modes: dict[str, int] = field(default_factory=dict)
    classes: tuple[ClassReport, ...] = ()
    ignored_shares: dict[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Seen:
    """What was seen of one sample; the counts have one entry for each index from 0 to 255.

    `brightest` is the greatest value of 255 in an image of 16 bits.
    """

    size: Size | None = None
    modes: tuple[str, str] | None = None
    area: NDArray[np.int64] | None = None
    edge: NDArray[np.int64] | None = None
    kind: str | None = None
    problems: tuple[Problem, ...] = ()
    brightest: int | None = None


def check_folder(
    root: Path | str,
    classes: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    seed: int = 0,
    targets: Sequence[str] | None = None,
    mapping: Path | str | None = None,
    val_share: float = 0.15,
    test_share: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> FolderReport:
    """Read every image and mask of a folder and report what it holds; problems are collected.

    Args:
        root, classes, ignore, seed, targets, mapping, val_share, test_share: as in `open_folder`.
        progress: called with how many samples are read and how many there are.

    Returns:
        The report; `problems` is empty where the folder is sound.
    """
    root = Path(root)
    try:
        found = find_samples(root)
    except FrugalsegError as error:
        return FolderReport(root, problems=(Problem(_FOLDER, str(root), str(error)),))
    problems = list(found.problems)
    samples = [sample for split in found.splits.values() for sample in split]
    class_list: ClassList | None = None
    whole = ""
    splits = {name or "train": tuple(part) for name, part in found.splits.items()}
    try:
        class_list = folder_classes(root, samples, classes, ignore, targets, mapping)
        splits = divide(found.splits, seed, val_share, test_share)
    except FrugalsegError as error:
        whole = str(error)
    split_of = {s.image: name for name, part in splits.items() for s in part}
    seen = _look_at_all(samples, class_list, progress)
    for one in seen:
        problems += one.problems
    if whole and all(problem.text != whole for problem in problems):
        problems.insert(0, Problem(_FOLDER, str(root), whole))
    inferred = classes is None and mapping is None and not (root / "classes.csv").exists()
    slips, hints = _doubts(root, samples, seen, class_list, inferred)
    problems += slips
    class_reports, ignored = _class_reports(class_list, samples, seen, split_of)
    return FolderReport(
        root,
        {name: len(part) for name, part in splits.items()},
        _most_common(one.size for one in seen if one.size),
        _most_common(one.modes[0] for one in seen if one.modes),
        _most_common(one.modes[1] for one in seen if one.modes),
        class_reports,
        ignored,
        tuple(problems),
        tuple(hints),
    )


def _doubts(
    root: Path,
    samples: Sequence[Sample],
    seen: Sequence[_Seen],
    classes: ClassList | None,
    inferred: bool,
) -> tuple[list[Problem], list[str]]:
    """Masks that can be read and are not what was meant: problems, and hints where it may be so."""
    hints = _darkness(seen)
    if classes is None:
        return [], hints
    hints += _smoothing(classes, seen) if inferred else []
    masks = [(sample.mask, one.kind) for sample, one in zip(samples, seen, strict=True)]
    found = BinaryMasks.among(masks)
    if not (may_be_slips(classes) and (found.alone or found.suspect)):
        return [], hints
    if found.alone:
        return [Problem(_FOLDER, str(root), f"{root}: {found.sentence()}")], hints
    if found.slip:
        text = f"255 is ignored. {ADVICE}"
        return [Problem(BINARY, str(path), text) for path in found.files], hints
    names = ", ".join(path.name for path in found.files[:3])
    more = ", ..." if len(found.files) > 3 else ""
    said = f"{BINARY} ({len(found.files)}): {names}{more}, and 255 is ignored. {ADVICE}"
    return [], [*hints, said]


def _darkness(seen: Sequence[_Seen]) -> list[str]:
    """A hint where images of 16 bits use the lowest of them only."""
    brightest = [one.brightest for one in seen if one.brightest is not None]
    if not brightest or max(brightest) >= DARK:
        return []
    return [
        f"{len(brightest)} images of 16 bits are nearly black ({max(brightest)} of 255 at most): "
        "their upper 8 bits are read. Do they hold 12 bits or fewer? Multiply 12 bits by 16."
    ]


def _smoothing(classes: ClassList, seen: Sequence[_Seen]) -> list[str]:
    """A hint where ids found in the masks look like mixtures of others."""
    areas = [one.area for one in seen if one.area is not None]
    edges = [one.edge for one in seen if one.edge is not None]
    if not areas:
        return []
    area, edge = (np.sum(each, axis=0)[: classes.num_classes] for each in (areas, edges))
    between = only_at_edges(area, edge)
    said = (
        f"{between} of {classes.num_classes} ids occur on few pixels only, at edges: were the "
        "masks resized with smoothing? Resize them by nearest neighbour, which mixes no ids."
    )
    return [said] if between else []


def _most_common(values: Iterable[_Value]) -> dict[_Value, int]:
    """How often each value occurs, the most frequent one first."""
    return dict(Counter(values).most_common())


def _look_at_all(
    samples: Sequence[Sample],
    classes: ClassList | None,
    progress: Callable[[int, int], None] | None,
) -> list[_Seen]:
    seen = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for one in pool.map(lambda sample: _look_at(sample, classes), samples):
            seen.append(one)
            if progress is not None:
                progress(len(seen), len(samples))
    return seen


def _look_at(sample: Sample, classes: ClassList | None) -> _Seen:
    """Read one image and its mask."""
    assert sample.mask is not None
    size = modes = area = edge = kind = brightest = None
    problem = None
    try:
        size, image_mode = describe_image(sample.image)
        deep = image_mode.startswith("I")
        pixels = read_image(sample.image, 1 if deep else 8)  # all of the file, but quickly
        brightest = int(pixels.max()) if deep else None
    except FrugalsegError as error:
        problem = Problem("images that cannot be read", str(sample.image), str(error))
    try:
        mask_mode = describe_image(sample.mask)[1]
        raw = read_raw(sample.mask)
        if classes is not None:
            kind = kind_of_mask(raw)
            area, edge = area_and_edge(encode_mask(raw, sample.mask, classes), 256)
    except FrugalsegError as error:
        unusable = Problem("masks that cannot be used", str(sample.mask), str(error))
        return _Seen(size, problems=(problem, unusable) if problem else (unusable,))
    if problem is None:
        modes = (image_mode, mask_mode)
        problem = size_problem(sample)
    problems = (problem,) if problem else ()
    return _Seen(size, modes, area, edge, kind, problems, brightest)


def _class_reports(
    classes: ClassList | None,
    samples: Sequence[Sample],
    seen: Sequence[_Seen],
    split_of: dict[Path, str],
) -> tuple[tuple[ClassReport, ...], dict[str, float]]:
    """Shares of each class by split, and of the ignored pixels."""
    counted = [
        (split_of.get(sample.image, "train"), one.area, one.edge)
        for sample, one in zip(samples, seen, strict=True)
        if one.area is not None and one.edge is not None
    ]
    if classes is None or not counted:
        return (), {}
    by_split: dict[str, NDArray[np.int64]] = {}
    for split, area, _ in counted:
        by_split[split] = by_split.get(split, np.zeros(256, np.int64)) + area
    shares = {split: area / area.sum() for split, area in by_split.items()}
    areas = np.array([area for _, area, _ in counted])
    area, edge = areas.sum(0), np.sum([edge for _, _, edge in counted], axis=0)
    side = float(np.mean(np.sqrt(areas.sum(1))))
    reports = tuple(
        ClassReport(
            c.name,
            c.id,
            c.target,
            {split: float(share[index]) for split, share in shares.items()},
            int((areas[:, index] > 0).sum()),
            small_or_thin(float(area[index]), float(edge[index]), float(area.sum()), side),
        )
        for index, c in enumerate(classes.scored)
    )
    return reports, {split: float(share[IGNORE_INDEX]) for split, share in shares.items()}


def format_report(report: FolderReport) -> str:
    """The report as text for people."""
    lines = [str(report.root), ""]
    if report.splits:
        lines.append("images     " + _counts(report.splits))
        sizes = {f"{h}x{w}": n for (h, w), n in report.sizes.items()}
        lines.append("sizes      " + _counts(sizes) + "  (height x width)")
        lines.append("modes      " + _counts(report.image_modes))
        lines.append("masks      " + _counts(report.mask_modes))
    if report.classes:
        lines += ["", *_class_table(report)]
    lines.append("")
    if not report.problems:
        lines.append("No problems found.")
    kinds = dict.fromkeys(problem.kind for problem in report.problems)
    for kind in kinds:
        same = [problem for problem in report.problems if problem.kind == kind]
        lines.append(f"Problem: {kind} ({len(same)})")
        for problem in same:
            named = problem.file in problem.text
            lines.append(f"  {problem.text}" if named else f"  {problem.file}: {problem.text}")
    lines += [f"Hint: {hint}" for hint in report.hints]
    return "\n".join(lines)


def _counts(counts: dict[str, int], most: int = 6) -> str:
    """Like `train 367, val 101`."""
    parts = [f"{name} {count}" for name, count in list(counts.items())[:most]]
    rest = list(counts.values())[most:]
    return ", ".join(parts) + (f", {len(rest)} others {sum(rest)}" if rest else "")


def _class_table(report: FolderReport) -> list[str]:
    """Shares in per cent by split; which classes are targets, and which look like one."""
    splits = list(report.classes[0].shares)
    wide = max(len("ignored"), *(len(c.name) for c in report.classes))
    head = f"{'id':>5}  {'class':<{wide}}" + "".join(f"{split + ' %':>9}" for split in splits)
    lines = [head + f"{'images':>8}  target"]
    for c in report.classes:
        shares = "".join(f"{100 * c.shares[split]:9.2f}" for split in splits)
        verdict = "yes" if c.target else "no"
        if c.looks_like_target:
            but = "" if c.target else "but "
            verdict += f", {but}small or thin: {c.looks_like_target}"
        elif not c.images:
            verdict += ", occurs in no mask"
        lines.append(f"{c.id:>5}  {c.name:<{wide}}{shares}{c.images:>8}  {verdict}")
    ignored = "".join(f"{100 * report.ignored_shares[split]:9.2f}" for split in splits)
    return [*lines, f"{'':>5}  {'ignored':<{wide}}{ignored}"]
