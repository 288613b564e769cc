"""What the commands do: files in, work by the packages, files and a few lines out.

Here what several tasks have in common is given to the task of the run at hand.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import TASK, run_task
from frugalseg.commands import clustering, finetuning, segmentation
from frugalseg.commands.clustering import cluster
from frugalseg.commands.finetuning import finetune
from frugalseg.commands.segmentation import check, sampling, segment, study
from frugalseg.errors import FrugalsegError
from frugalseg.finetune_runs import TASK as FINETUNE

__all__ = [
    "check",
    "cluster",
    "compare",
    "evaluate",
    "finetune",
    "predict",
    "sampling",
    "segment",
    "study",
    "suggest",
]


def predict(folder: Path, images: Sequence[Path], out: Path | None) -> None:
    """Answer for new images."""
    tasks = {TASK: clustering, FINETUNE: finetuning}
    task: Any = tasks.get(run_task(folder), segmentation)
    task.predict(folder, images, out)


def evaluate(
    folder: Path, data: Path | None, split: str | None, labels: str | None
) -> dict[str, Any]:
    """Score a run."""
    task = run_task(folder)
    if task == TASK:
        return clustering.evaluate(folder, data, split, labels)
    if task == FINETUNE:
        return finetuning.evaluate(folder, data, split, labels)
    if labels is not None:
        raise FrugalsegError(f"{folder} is a segmentation run: it is scored by masks, not labels.")
    return segmentation.evaluate(folder, data, split or "val")


def compare(folders: Sequence[Path], split: str | None, out: Path, images: int) -> None:
    """Compare runs of one task."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise FrugalsegError(f"{out}: the page is HTML, give a name that ends in .html.")
    tasks = [run_task(folder) for folder in folders]
    for folder, task in zip(folders, tasks, strict=True):
        if task == FINETUNE:
            raise FrugalsegError(
                f"{folder} is a fine-tuned run: give 'frugalseg evaluate' for each of them."
            )
        if task != tasks[0]:
            raise FrugalsegError(
                f"{folders[0]} and {folder} are runs of different tasks: compare runs of one."
            )
    if tasks[0] == TASK:
        clustering.compare(folders, split, out)
    else:
        segmentation.compare(folders, split or "val", out, images)


def suggest(folder: Path, number: int, out: Path | None) -> None:
    """Say which images to label."""
    if run_task(folder) != TASK:
        raise FrugalsegError(f"{folder} is no clustering run: there is nothing to suggest.")
    clustering.suggest(folder, number, out)
