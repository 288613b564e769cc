"""What the commands do: files in, work by the packages, files and a few lines out.

Here what several tasks have in common is given to the task of the run at hand.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.commands import clustering, discovery, finetuning, segmentation
from frugalseg.commands.clustering import cluster
from frugalseg.commands.discovery import discover
from frugalseg.commands.finetuning import finetune
from frugalseg.commands.preparing import prepare_cocostuff, prepare_potsdam
from frugalseg.commands.segmentation import check, sampling, segment, study
from frugalseg.errors import FrugalsegError
from frugalseg.task_runs import run_task

__all__ = [
    "check",
    "cluster",
    "compare",
    "discover",
    "evaluate",
    "finetune",
    "predict",
    "prepare_cocostuff",
    "prepare_potsdam",
    "sampling",
    "segment",
    "study",
    "suggest",
]
_TASKS: dict[str, Any] = {
    "segment": segmentation,
    "cluster": clustering,
    "discover": discovery,
    "finetune": finetuning,
}


def _task(folder: Path) -> tuple[str, Any]:
    """The task of a run, and the module of its commands."""
    task = run_task(folder)
    if task not in _TASKS:
        raise FrugalsegError(
            f"{folder} is a run of the task {task!r}, which this version does not know."
        )
    return task, _TASKS[task]


def predict(
    folder: Path, images: Sequence[Path], out: Path | None, masks: str | None = None
) -> None:
    """Answer for new images."""
    task, work = _task(folder)
    if task == "discover":
        discovery.predict(folder, images, out, masks)
        return
    if masks is not None:
        raise FrugalsegError(f"{folder} is no discovery: --masks is of no use here.")
    work.predict(folder, images, out)


def evaluate(
    folder: Path,
    data: Path | None,
    split: str | None,
    labels: str | None,
    masks: str | None = None,
) -> dict[str, Any]:
    """Score a run."""
    task, work = _task(folder)
    if masks is not None and task != "discover":
        raise FrugalsegError(f"{folder} is no discovery: --masks is of no use here.")
    if task == "segment":
        if labels is not None:
            raise FrugalsegError(
                f"{folder} is a segmentation run: it is scored by masks, not labels."
            )
        return segmentation.evaluate(folder, data, split or "val")
    if task == "discover":
        table = None if labels is None else Path(labels)
        return discovery.evaluate(folder, data, split, masks, table)
    result: dict[str, Any] = work.evaluate(folder, data, split, labels)
    return result


def compare(folders: Sequence[Path], split: str | None, out: Path, images: int) -> None:
    """Compare runs of one task."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise FrugalsegError(f"{out}: the page is HTML, give a name that ends in .html.")
    tasks = [_task(folder)[0] for folder in folders]
    for folder, task in zip(folders, tasks, strict=True):
        if task == "finetune":
            raise FrugalsegError(
                f"{folder} is a fine-tuned run: give 'frugalseg evaluate' for each of them."
            )
        if task != tasks[0]:
            raise FrugalsegError(
                f"{folders[0]} and {folder} are runs of different tasks: compare runs of one."
            )
    if tasks[0] == "segment":
        segmentation.compare(folders, split or "val", out, images)
    elif tasks[0] == "discover":
        discovery.compare(folders, split, out, images)
    else:
        _TASKS[tasks[0]].compare(folders, split, out)


def suggest(folder: Path, number: int, out: Path | None) -> None:
    """Say which images to label."""
    task, work = _task(folder)
    if task in ("segment", "finetune"):
        raise FrugalsegError(f"{folder} is no clustering run: there is nothing to suggest.")
    work.suggest(folder, number, out)
