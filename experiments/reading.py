"""What the place at which a reduced image is read is worth: the scores of runs, three ways."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from frugalseg.console import track
from frugalseg.data.images import read_image
from frugalseg.data.masks import read_mask
from frugalseg.engine.environment import command_line, environment
from frugalseg.files import write_json
from frugalseg.metrics.segmentation import count_image, summarise
from frugalseg.sampling import area_average, interpolate_argmax, reduced_sampling, sample_pixels
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.evaluate import samples_to_score
from frugalseg.tasks.segment.model import FrugalModel, decode_scale, load_run

WAYS = ("in place", "at phi of the reduced image", "not reduced")


def reading(*runs: Path, out: Path, split: str = "val") -> str:
    """Score finished runs whose images are read reduced, reduced but out of place, or whole.

    Args:
        runs: Folders of finished segmentations.
        out: The result file, JSON.
        split: Whose images are scored.

    Returns:
        A line for each run and way: mean IoU over all and over target classes.

    Raises:
        FrugalsegError: a run is not finished, or the split cannot be scored.
    """
    rows = [row for folder in runs for row in _score(folder, split)]
    what = {"command": command_line(), "split": split}
    write_json({"what": what, "environment": environment(), "runs": rows}, out)
    return "".join(
        f"{row['run']:20s} {row['reading']:28s} {row['all']:.4f} {row['target']:.4f}\n"
        for row in rows
    )


def _score(folder: Path, split: str) -> list[dict[str, Any]]:
    run = load_run(folder)
    data = open_data(run.asked)
    classes = run.classes
    counts: dict[str, Any] = {}
    for sample in track(samples_to_score(data, split), "images"):
        assert sample.mask is not None
        truth = read_mask(sample.mask, data.classes)
        for way in WAYS:
            labels = _labels(run.model, sample.image, (truth.shape[0], truth.shape[1]), way)
            one = count_image(labels, truth, classes.num_classes, classes.targets)
            counts[way] = counts[way] + one if way in counts else one
    rows = []
    for way, count in counts.items():
        miou = summarise(count, classes.names, classes.targets)["miou"]
        rows.append({"run": run.dir.name, "data": data.name, "reading": way, **miou})
    return rows


@torch.inference_mode()
def _labels(model: FrugalModel, image: Path, size: tuple[int, int], way: str) -> Any:
    """The answer for an image, as :meth:`FrugalModel.predict` gives it if it is read in place."""
    reduce = 1 if way == "not reduced" else decode_scale(size, model.size, model.oversample)
    pixels = read_image(image, reduce)
    covered = (size[0] / reduce, size[1] / reduce)
    phi = model.place(area_average(pixels, model.thumbnail, covered)[None].to(model.device))
    at = phi[0] if way == WAYS[1] else reduced_sampling(phi[0], size, reduce)
    warped = sample_pixels(pixels, at, None if way == WAYS[1] else covered)
    scores = model.score(warped[None].to(model.device), phi.to(model.device)).float()
    labels = interpolate_argmax(scores, phi.to(scores.device), size)[0]
    return labels.cpu().numpy().astype(np.uint8, copy=False)
