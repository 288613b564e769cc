"""Quality against measured seconds: finished runs timed by turns, so that none has a busy hour."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg._memory import keep_freed_memory
from frugalseg.data.masks import read_mask
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.cost import StageTimer
from frugalseg.evaluation.evaluate import multiply_adds, samples_to_score
from frugalseg.evaluation.results import command_line, environment
from frugalseg.files import write_json
from frugalseg.recipes.study import draw_curve, read_results
from frugalseg.runs import Run, load_run
from frugalseg.training.segment import open_data

FORMAT = 1


def time_runs(
    folders: Sequence[Path],
    split: str,
    images: int,
    rounds: int,
    out: Path,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time finished runs of one data set on the same images, by turns, and write what was found.

    Args:
        folders: the runs.
        split: whose images.
        images: how many of them, spread evenly.
        rounds: times that each run answers for each image; one more comes first and is not counted.
        out: JSON file.
        say: is told, in words, what begins.

    Returns:
        What was written: for each run its sampler, "size", "multiply_adds" and median "seconds" an
        image by stage; and how busy the machine was, before and after.

    Raises:
        FrugalsegError: nothing is to be timed, a run is not finished or of other classes, or the
            split is missing.
    """
    if not folders or images < 1 or rounds < 1:
        raise FrugalsegError("Name the runs to time, and at least 1 image and 1 round.")
    keep_freed_memory()  # as predictions do
    runs = _load(folders)
    data = open_data(runs[0].config)
    samples = samples_to_score(data, split)
    places = np.linspace(0, len(samples), min(images, len(samples)), endpoint=False).astype(int)
    load = [os.getloadavg()[0]]
    timers = [StageTimer(run.model.device) for run in runs]
    say(f"Timing {len(runs)} runs on {len(places)} images, {rounds} rounds after a first")
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
    result = {
        "format": FORMAT,
        "what": {
            "command": command_line(),
            "data": data.root.name,
            "split": split,
            "images": len(places),
            "rounds": rounds,
        },
        "environment": environment(),
        "load_before_and_after": load,
        "runs": [_row(run, timer) for run, timer in zip(runs, timers, strict=True)],
    }
    write_json(result, out)
    return result


def _load(folders: Sequence[Path]) -> list[Run]:
    """Runs, of the same classes."""
    runs = [load_run(folder) for folder in folders]
    for run in runs:
        if run.classes.names != runs[0].classes.names:
            raise FrugalsegError(f"{run.folder} has other classes than {runs[0].folder}.")
    return runs


def _row(run: Run, timer: StageTimer) -> dict[str, Any]:
    return {
        "run": run.folder.name,
        "sampler": run.config.sampler,
        "size": list(run.config.size),
        "steps": run.config.steps,
        "multiply_adds": multiply_adds(run.model)["total"],
        "seconds": timer.median(),
    }


def draw_seconds(scores: Path, seconds: Path, out: Path) -> None:
    """Draw the scores of a study against seconds of runs of the same samplers and points.

    Args:
        scores: folder of the study's results.
        seconds: what :func:`time_runs` wrote.
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

    def cost(result: dict[str, Any]) -> float | None:
        return taken.get((result["what"]["sampler"], *result["what"]["size"]))

    timed = [result for result in read_results(scores) if cost(result) is not None]
    if not timed:
        raise FrugalsegError(f"{scores} has no result of a sampler and points timed in {seconds}.")
    draw_curve(timed, cost, "ms an image", out)
