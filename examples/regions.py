"""Regions within images without labels; their boundaries then say where to look.

    python examples/regions.py FOLDER [OUT] [CLASSES]

FOLDER holds images. No mask is needed: those of a folder ``masks`` beside ``images`` are not used.
"""

import sys
from pathlib import Path

import numpy as np
import torch

import frugalseg
from frugalseg.data import open_any_folder, read_image
from frugalseg.sampling import boundary_density, equal_density_sampling


def main(folder: Path, out: Path = Path("runs/regions"), classes: int = 3) -> np.ndarray:
    """Divide the images, and place samples along the boundaries of one of them.

    Returns:
        (64, 64, 2): row and column of the samples in [0, 1].
    """
    run = frugalseg.train("discover", folder, out, classes=classes)
    print(f"label images in {out / 'labels'}, a page in {out / 'report.html'}")

    # one image, as a file or an array: labels (H, W), soft answers at the network's resolution
    path = open_any_folder(folder).samples[0].image
    prediction = run.predict(read_image(path))
    for region, name in enumerate(run.region_names):
        print(f"{name}: {(prediction.labels == region).mean():.1%} of {path.name}")

    # where regions meet, a segmenter should look closely: equal density of their boundaries
    labels = torch.from_numpy(prediction.labels)[None]
    density = boundary_density(labels, (128, 128))
    phi = equal_density_sampling(density, (64, 64))
    return phi[0].numpy()


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *map(Path, words[1:2]), *map(int, words[2:]))
