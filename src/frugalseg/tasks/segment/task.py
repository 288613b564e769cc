"""The task of segmenting images from few of their pixels, learned from masks."""

from collections.abc import Sequence
from pathlib import Path

from frugalseg.console import log
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.results import Result
from frugalseg.errors import FrugalsegError
from frugalseg.reports.tables import iou_lines
from frugalseg.tasks.base import Task, own_result
from frugalseg.tasks.names import default_run_folder
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.data import open_data, resolve
from frugalseg.tasks.segment.evaluate import (
    RESULT,
    class_differences,
    evaluate_run,
    open_scored,
    samples_to_score,
)
from frugalseg.tasks.segment.model import Run, load_run
from frugalseg.tasks.segment.predict import OPTIONS, predict
from frugalseg.tasks.segment.report import compare_runs


def export(run: Run, dataset: ImageMaskFolder) -> Result | None:
    """Evaluate a run on val, if there is one, and write its report."""
    samples = dataset.splits.get("val")
    if not samples:
        return None
    result = own_result(TASK, run, "val", dataset)
    page = run.dir.path / "report.html"
    compare_runs([run], [result], samples, 4, dataset.classes, page)
    log.info(f"The page is {page}.")
    return result


def compare(
    runs: Sequence[Run], results: Sequence[Result], split: str | None, out: Path, images: int
) -> None:
    """Write a page that compares runs on the same data."""
    for run in runs:
        if run.classes.names != runs[0].classes.names:
            raise FrugalsegError(
                f"{run.dir} has other classes than {runs[0].dir}: "
                f"{class_differences(run.classes, runs[0].classes)}. Compare runs on one data set."
            )
    dataset = open_data(runs[0].asked)
    samples = samples_to_score(dataset, split or "val")
    compare_runs(runs, results, samples, max(images, 0), dataset.classes, out)


TASK = Task(
    config=SegmentConfig,
    result=RESULT,
    default_folder=lambda config: default_run_folder(
        config, config.sampler, "x".join(map(str, config.size))
    ),
    open_data=open_data,
    resolve=resolve,
    train="frugalseg.tasks.segment.train:train",
    load=load_run,
    export=export,
    predict=predict,
    open_scored=open_scored,
    default_split=lambda run, other: "val" if other is None or len(other.given) > 1 else "all",
    evaluate=lambda run, dataset, split, options: evaluate_run(run, dataset, split),
    details=lambda result: iou_lines(result.scores or {"iou": {}}),
    network_option="segmenter",
    keep_suffix=False,
    evaluate_options=frozenset({"images", "masks"}),
    predict_options=OPTIONS,
    compare=compare,
)
