"""Classes of the images of a set."""

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import track
from frugalseg.data.image_set import ImageSet
from frugalseg.tasks.finetune.data import read_pixels
from frugalseg.tasks.finetune.model import FinetuneRun

PIECE = 256  # images classified at a time


def answer_classes(
    run: FinetuneRun, images: ImageSet, indices: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Probabilities of the classes.

    Args:
        run: a finished run.
        images: the set.
        indices: of the N images to classify, at least one.

    Returns:
        ``(N, classes)``.

    Raises:
        FrugalsegError: an image cannot be read any more.
    """
    pieces = [indices[start : start + PIECE] for start in range(0, len(indices), PIECE)]
    answers = [
        run.probabilities(read_pixels(images, piece, run.augment))
        for piece in track(pieces, "pieces")
    ]
    whole: NDArray[np.float32] = np.concatenate(answers)
    return whole
