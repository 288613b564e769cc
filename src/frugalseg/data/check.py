"""Check a data folder: what it holds, and everything that is wrong with it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from frugalseg.data.class_lists.classes import IGNORE_INDEX, ClassList, lack_of_classes
from frugalseg.data.class_lists.mapping import declared_classes
from frugalseg.data.class_lists.statistics import (
    MaskStatistics,
    infer_classes,
    instance_hint,
    only_at_edges,
    small_or_thin,
    sum_statistics,
)
from frugalseg.data.colour_masks import suggest_classes
from frugalseg.data.headers import FileRemark, measure
from frugalseg.data.image_file import read_header
from frugalseg.data.image_mask_folder import draw_splits
from frugalseg.data.images import Size, read_image, remark_lines
from frugalseg.data.layouts.layout import find_samples
from frugalseg.data.layouts.samples import Problem, Sample
from frugalseg.data.masks import ADVICE, BINARY, BinaryMasks, may_be_slips, read_statistics
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads

_FOLDER = "the folder as a whole"
_NUM_INDICES = 256  # of classes, 255 for ignored pixels
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class ClassReport:
    """One class: its shares of the pixels by split (0 to 1), and in how many images it occurs.

    `target` is what the class list says; `looks_like_target` says why the class is small or thin,
    and is None if it is not.
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
class _Look:
    """What reading one sample showed.

    Attributes:
        size: of the image.
        modes: of the image and the mask; None if one of them cannot be used.
        mask: what the mask holds, by class index; before classes are inferred, by id.
        problems: what is wrong with the files.
        remarks: what reading the files guesses or leaves out.
    """

    size: Size | None = None
    modes: tuple[str, str] | None = None
    mask: MaskStatistics | None = None
    problems: tuple[Problem, ...] = ()
    remarks: tuple[FileRemark, ...] = ()


def check_folder(
    root: Path | str,
    classes: Path | str | None = None,
    ignore: Sequence[str | int] = (),
    seed: int = 0,
    targets: Sequence[str] | None = None,
    mapping: Path | str | None = None,
    val_share: float = 0.15,
    test_share: float = 0.0,
    images: Path | str | None = None,
    masks: Path | str | None = None,
) -> FolderReport:
    """Read every image and mask of a folder and report what it holds and what is wrong.

    Args:
        root, classes, ignore, seed, targets, mapping, val_share, test_share, images, masks: as in
            `open_folder`.

    Returns:
        The report; `problems` is empty if the folder is sound.
    """
    root = Path(root)
    try:
        contents = find_samples(root, images, masks)
    except FrugalsegError as error:
        return FolderReport(root, problems=(Problem(_FOLDER, str(root), str(error)),))
    class_list: ClassList | None = None
    folder_errors: list[str] = []
    inferred = False
    try:
        class_list = declared_classes(root, classes, ignore, targets, mapping)
        inferred = class_list is None
    except FrugalsegError as error:
        folder_errors.append(str(error))
    looks = list(in_threads(lambda sample: _look_at(sample, class_list), contents.paired, "images"))
    problems = [*contents.problems, *(problem for look in looks for problem in look.problems)]
    counted = [look.mask for look in looks if look.mask]
    hints = remark_lines(remark for look in looks for remark in look.remarks)
    if inferred and (counted or not problems):
        try:
            class_list = infer_classes(counted, ignore, targets)
            hints += instance_hint(counted)
        except FrugalsegError as error:
            folder_errors.append(str(error))
    if class_list is None:
        looks = [replace(look, mask=None) for look in looks]
    elif inferred:
        looks = [replace(x, mask=x.mask.encoded(class_list) if x.mask else None) for x in looks]
    splits = {name or "train": tuple(part) for name, part in contents.splits.items()}
    try:
        if contents.paired or not problems:
            splits = draw_splits(contents.splits, seed, val_share, test_share)
    except FrugalsegError as error:
        folder_errors.append(str(error))
    problems[:0] = [Problem(_FOLDER, str(root), text) for text in folder_errors]
    slips, doubts = _doubts(root, contents.paired, looks, class_list, inferred)
    unread = [
        sample.mask for sample, look in zip(contents.paired, looks, strict=True) if not look.mask
    ]
    colours = suggest_classes([mask for mask in unread if mask]) if inferred else None
    hints = [*contents.notes, *hints, *doubts, *([colours] if colours else [])]
    split_of = {s.image: name for name, part in splits.items() for s in part}
    class_reports, ignored = _class_reports(class_list, contents.paired, looks, split_of)
    if "train" in ignored and not (problems or slips):
        shares = [c.shares["train"] for c in class_reports]
        lack = lack_of_classes([c.name for c in class_reports], shares, "the training masks")
        slips += [Problem(_FOLDER, str(root), lack)] if lack else []
    return FolderReport(
        root,
        {name: len(part) for name, part in splits.items()},
        _most_common(look.size for look in looks if look.size),
        _most_common(look.modes[0] for look in looks if look.modes),
        _most_common(look.modes[1] for look in looks if look.modes),
        class_reports,
        ignored,
        (*problems, *slips),
        tuple(hints),
    )


def _doubts(
    root: Path,
    samples: Sequence[Sample],
    looks: Sequence[_Look],
    classes: ClassList | None,
    inferred: bool,
) -> tuple[list[Problem], list[str]]:
    """Problems and hints about files that can be read but may not be what was meant."""
    if classes is None:
        return [], []
    hints = _smoothing(classes, looks) if inferred else []
    masks = zip(samples, looks, strict=True)
    binary = BinaryMasks((sample.mask, x.mask.content) for sample, x in masks if x.mask)
    if not (may_be_slips(classes) and (binary.alone or binary.suspect)):
        return [], hints
    if binary.alone:
        return [Problem(_FOLDER, str(root), f"{root}: {binary.sentence()}")], hints
    if binary.slip:
        text = f"255 is ignored. {ADVICE}"
        return [Problem(BINARY, str(path), text) for path in binary.files], hints
    names = ", ".join(path.name for path in binary.files[:3])
    more = ", ..." if len(binary.files) > 3 else ""
    hint = f"{BINARY} ({len(binary.files)}): {names}{more}, and 255 is ignored. {ADVICE}"
    return [], [*hints, hint]


def _smoothing(classes: ClassList, looks: Sequence[_Look]) -> list[str]:
    """A hint if many ids in the masks look like mixtures of others."""
    area, edge = sum_statistics((look.mask for look in looks if look.mask), _NUM_INDICES)
    area, edge = area[: classes.num_classes], edge[: classes.num_classes]
    between = only_at_edges(area, edge)
    hint = (
        f"{between} of {classes.num_classes} ids occur on few pixels only, at edges: were the "
        "masks resized with smoothing? Resize them by nearest neighbour, which mixes no ids."
    )
    return [hint] if between else []


def _most_common(values: Iterable[_Value]) -> dict[_Value, int]:
    """Number of times each value occurs, the most frequent value first."""
    return dict(Counter(values).most_common())


def _look_at(sample: Sample, classes: ClassList | None) -> _Look:
    """Read one image and its mask."""
    assert sample.mask is not None
    size = modes = problem = None
    remarks: list[FileRemark] = []
    try:
        image = read_header(sample.image)
        size = image.size
        read_image(sample.image, 8)  # decodes the whole file, but quickly
    except FrugalsegError as error:
        problem = Problem("images that cannot be read", str(sample.image), str(error))
    try:
        mask_mode = read_header(sample.mask).mode
        mask = read_statistics(sample.mask, classes)
    except FrugalsegError as error:
        unusable = Problem("masks that cannot be used", str(sample.mask), str(error))
        return _Look(size, problems=(problem, unusable) if problem else (unusable,))
    if problem is None:
        modes = (image.mode, mask_mode)
        _, problem, remarks = measure(sample)
    remarks += [(sample.mask, mask.remark)] if mask.remark else []
    return _Look(size, modes, mask, (problem,) if problem else (), tuple(remarks))


def _class_reports(
    classes: ClassList | None,
    samples: Sequence[Sample],
    looks: Sequence[_Look],
    split_of: dict[Path, str],
) -> tuple[tuple[ClassReport, ...], dict[str, float]]:
    """Shares of each class by split, and of the ignored pixels."""
    by_split: dict[str, list[MaskStatistics]] = {}
    for sample, look in zip(samples, looks, strict=True):
        if look.mask is not None:
            by_split.setdefault(split_of.get(sample.image, "train"), []).append(look.mask)
    if classes is None or not by_split:
        return (), {}
    shares = {}
    for split, part in by_split.items():
        area, _ = sum_statistics(part, _NUM_INDICES)
        shares[split] = area / area.sum()
    masks = [mask for part in by_split.values() for mask in part]
    area, edge = sum_statistics(masks, _NUM_INDICES)
    images = np.bincount(np.concatenate([mask.ids for mask in masks]), minlength=_NUM_INDICES)
    side = float(np.mean([mask.pixels**0.5 for mask in masks]))
    reports = tuple(
        ClassReport(
            c.name,
            c.id,
            c.target,
            {split: float(share[index]) for split, share in shares.items()},
            int(images[index]),
            small_or_thin(float(area[index]), float(edge[index]), float(area.sum()), side),
        )
        for index, c in enumerate(classes.scored)
    )
    return reports, {split: float(share[IGNORE_INDEX]) for split, share in shares.items()}


def format_report(report: FolderReport) -> str:
    """The report as text."""
    lines = [str(report.root), ""]
    if report.splits:
        lines.append("images     " + counts_text(report.splits))
        sizes = {f"{h}x{w}": n for (h, w), n in report.sizes.items()}
        lines.append("sizes      " + counts_text(sizes) + "  (height x width)")
        lines.append("modes      " + counts_text(report.image_modes))
        lines.append("masks      " + counts_text(report.mask_modes))
    if report.classes:
        lines += ["", *_class_table(report)]
    lines.append("")
    if not report.problems:
        lines.append("No problems found.")
    for kind, number in Counter(problem.kind for problem in report.problems).items():
        lines.append(f"Problem: {kind} ({number})")
        lines += [f"  {problem.sentence}" for problem in report.problems if problem.kind == kind]
    lines += [f"Hint: {hint}" for hint in report.hints]
    return "\n".join(lines)


def counts_text(counts: dict[str, int]) -> str:
    """The first six counts and the sum of the others, like `train 367, val 101`."""
    parts = [f"{name} {count}" for name, count in list(counts.items())[:6]]
    rest = list(counts.values())[6:]
    return ", ".join(parts) + (f", {len(rest)} others {sum(rest)}" if rest else "")


def _class_table(report: FolderReport) -> list[str]:
    """Shares in per cent by split; which classes are targets, and which look like targets."""
    splits = list(report.classes[0].shares)
    width = max(len("ignored"), *(len(c.name) for c in report.classes))
    head = f"{'id':>5}  {'class':<{width}}" + "".join(f"{split + ' %':>9}" for split in splits)
    lines = [head + f"{'images':>8}  target"]
    for c in report.classes:
        shares = "".join(f"{100 * c.shares[split]:9.2f}" for split in splits)
        verdict = "yes" if c.target else "no"
        if c.looks_like_target:
            but = "" if c.target else "but "
            verdict += f", {but}small or thin: {c.looks_like_target}"
        elif not c.images:
            verdict += ", occurs in no mask"
        lines.append(f"{c.id:>5}  {c.name:<{width}}{shares}{c.images:>8}  {verdict}")
    ignored = "".join(f"{100 * report.ignored_shares[split]:9.2f}" for split in splits)
    return [*lines, f"{'':>5}  {'ignored':<{width}}{ignored}"]
