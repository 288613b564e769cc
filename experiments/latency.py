"""Quality against measured seconds: finished runs timed by turns, so that none has a busy hour."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.results import read_results
from experiments.summary import CURVES, draw_curve
from frugalseg._memory import tune_malloc
from frugalseg.console import log
from frugalseg.data.masks import read_mask
from frugalseg.engine.environment import command_line, environment
from frugalseg.engine.results import Result
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_json
from frugalseg.metrics.cost import StageTimer
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.evaluate import multiply_adds, samples_to_score
from frugalseg.tasks.segment.model import Run, load_run

FORMAT = 1


def latency(
    *runs: Path,
    out: Path,
    scores: Path | None = None,
    split: str = "test",
    images: int = 20,
    rounds: int = 3,
) -> str:
    """Time finished runs of one data set on the same images, by turns, and write the times.

    Args:
        runs: Folders of finished segmentations.
        out: The result file, JSON.
        scores: Folder of a grid's results: OUT.svg draws them against the seconds.
        split: Whose images are timed.
        images: How many of them, spread evenly.
        rounds: Times that each run answers for each image; one more comes first and is not counted.

    Returns:
        A line for each run: milliseconds an image.

    Raises:
        FrugalsegError: nothing is to be timed, a run is not finished or of other classes, the split
            is missing, or no score is of what is timed.
    """
    if scores is not None:
        read_results(scores)  # known before minutes of timing
    result = time_runs(runs, split, images, rounds)
    write_json(result, out)
    if scores is not None:
        draw_seconds(scores, out, out.with_suffix(".svg"))
    lines = [(row["run"], 1e3 * row["seconds"]["total"]) for row in result["runs"]]
    return "".join(f"{run:24s} {milliseconds:7.1f} ms\n" for run, milliseconds in lines)


def time_runs(folders: Sequence[Path], split: str, images: int, rounds: int) -> dict[str, Any]:
    """Time runs by turns; arguments as of :func:`latency`.

    Returns:
        For each run its sampler, "size", "multiply_adds" and median "seconds" an image by stage;
        and how busy the machine was, before and after.
    """
    if not folders or images < 1 or rounds < 1:
        raise FrugalsegError("Name the runs to time, and at least 1 image and 1 round.")
    tune_malloc()  # as predictions do
    runs = _load(folders)
    data = open_data(runs[0].asked)
    samples = samples_to_score(data, split)
    places = np.linspace(0, len(samples), min(images, len(samples)), endpoint=False).astype(int)
    load = [os.getloadavg()[0]]
    timers = [StageTimer(run.model.device) for run in runs]
    log.info(f"Timing {len(runs)} runs on {len(places)} images, {rounds} rounds after a first")
    turns = [(turn, place) for turn in range(rounds + 1) for place in places]
    for k, (turn, place) in enumerate(turns):
        image = samples[place].image
        mask = samples[place].mask
        assert mask is not None
        truth = read_mask(mask, data.classes)
        for i in np.roll(np.arange(len(runs)), k):
            timer = timers[i] if turn else StageTimer()
            runs[i].model.predict(image, truth, runs[i].classes.targets, timer)
    load.append(os.getloadavg()[0])
    return {
        "format": FORMAT,
        "what": {
            "command": command_line(),
            "data": data.name,
            "split": split,
            "images": len(places),
            "rounds": rounds,
        },
        "environment": environment(),
        "load_before_and_after": load,
        "runs": [_row(run, timer) for run, timer in zip(runs, timers, strict=True)],
    }


def _load(folders: Sequence[Path]) -> list[Run]:
    """Runs, of the same classes."""
    runs = [load_run(folder) for folder in folders]
    for run in runs:
        if run.classes.names != runs[0].classes.names:
            raise FrugalsegError(f"{run.dir} has other classes than {runs[0].dir}.")
    return runs


def _row(run: Run, timer: StageTimer) -> dict[str, Any]:
    return {
        "run": run.dir.name,
        "sampler": run.config.sampler,
        "size": list(run.config.size),
        "steps": run.config.steps,
        "multiply_adds": multiply_adds(run.model)["total"],
        "seconds": timer.median(),
    }


def draw_seconds(scores: Path, seconds: Path, out: Path) -> None:
    """Draw the scores of a grid against seconds of runs of the same samplers and points.

    Args:
        scores: folder of the grid's results.
        seconds: what :func:`latency` wrote.
        out: SVG file.

    Raises:
        FrugalsegError: the file is none of these, or no result has what was timed.
    """
    try:
        rows = json.loads(seconds.read_text(encoding="utf-8"))["runs"]
        times: dict[tuple[Any, ...], list[float]] = {}
        for row in rows:  # of several seeds the median
            times.setdefault((row["sampler"], *row["size"]), []).append(row["seconds"]["total"])
        taken = {key: 1e3 * float(np.median(seconds)) for key, seconds in times.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FrugalsegError(f"{seconds} holds no times of runs ({error}).") from error

    def cost(result: Result) -> float | None:
        return taken.get((result.what["sampler"], *result.what["size"]))

    timed = [result for result in read_results(scores) if cost(result) is not None]
    if not timed:
        raise FrugalsegError(f"{scores} has no result of a sampler and points timed in {seconds}.")
    draw_curve(timed, dataclasses.replace(CURVES["segment"], across="ms an image", x=cost), out)
