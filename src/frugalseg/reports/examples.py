"""What runs see and answer for some images, for the pictures of a comparison."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from frugalseg.data.classes import ClassList
from frugalseg.data.images import read_image
from frugalseg.data.layout import Sample
from frugalseg.data.masks import read_mask
from frugalseg.runs import Run


def predict_examples(
    runs: Sequence[Run],
    labels: Sequence[str],
    samples: Sequence[Sample],
    count: int,
    classes: ClassList,
) -> list[dict[str, Any]]:
    """Let each run answer for images spread evenly over a split.

    Args:
        runs: finished runs with the same classes.
        labels: what each run is called, as :func:`frugalseg.reports.compare.label_results` says.
        samples: images with masks.
        count: how many of them to show.
        classes: of the masks, as their data set has them.

    Returns:
        The examples that :func:`frugalseg.reports.compare.write_comparison` takes.
    """
    places = np.linspace(0, len(samples), min(count, len(samples)), endpoint=False).astype(int)
    return [_example(runs, labels, samples[i], classes) for i in places]


def _example(
    runs: Sequence[Run], labels: Sequence[str], sample: Sample, classes: ClassList
) -> dict[str, Any]:
    assert sample.mask is not None
    truth = read_mask(sample.mask, classes)
    image = read_image(sample.image)
    shown = []
    for run, label in zip(runs, labels, strict=True):
        answer = run.model.predict(sample.image, truth, run.classes.targets)
        warped = (answer.warped.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        shown.append(
            {
                "label": label,
                "image": image,
                "phi": answer.phi.numpy(),
                "warped": warped,
                "answer": answer.labels,
                "truth": truth,
                "colours": run.classes.colours,
            }
        )
    return {"name": sample.name, "runs": shown}
