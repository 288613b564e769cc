"""Highest scores that sampling allows on a folder: `python -m benchmarks.ceilings FOLDER`.

True labels are read at the samples and interpolated back: the score of a perfect segmenter. All
placements know the true boundaries of the target classes. The results are the mean IoU over all
classes, over the target classes and over the others, on every fourth image of the split.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.equal_density import jacobi_numba
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.data.masks import read_mask
from frugalseg.engine.results import environment
from frugalseg.files import write_json
from frugalseg.models.samplers import default_thumbnail
from frugalseg.sampling import (
    boundary_density,
    boundary_sampling,
    equal_density_sampling,
    fade_pull,
    minimise_boundary_energy,
    nearest_boundary,
    relative_density,
    resize_sampling,
    semantic_boundaries,
    uniform_sampling,
)
from frugalseg.tasks.segment.blend import ceiling_confusion, ceilings

RESULTS = Path(__file__).parent.parent / "results" / "benchmarks"
SIZES = (32, 64, 128)
EVERY = 4

Size = tuple[int, int]
Placement = Callable[[Tensor, Size, list[int]], Tensor]


def paper(labels: Tensor, size: Size, targets: list[int]) -> Tensor:
    return boundary_sampling(labels, size, smoothness=1.0, control=(8, 8), targets=targets)


def full_grid(labels: Tensor, size: Size, targets: list[int]) -> Tensor:
    return boundary_sampling(labels, size, targets=targets)


def faded(labels: Tensor, size: Size, targets: list[int]) -> Tensor:
    nearest = nearest_boundary(semantic_boundaries(labels, targets), size)
    return minimise_boundary_energy(fade_pull(nearest), 1.0)


def view_density(labels: Tensor, size: Size, targets: list[int]) -> Tensor:
    height, width = labels.shape[1:]
    return boundary_density(labels, default_thumbnail(size, width / height), targets)


def equal(share: float = 0.5, blur: float = 1.0, exponent: float = 1.0) -> Placement:
    def place(labels: Tensor, size: Size, targets: list[int]) -> Tensor:
        density = view_density(labels, size, targets) ** exponent
        return equal_density_sampling(density, size, share, blur)

    return place


def jacobi(labels: Tensor, size: Size, targets: list[int]) -> Tensor:
    """100 damped Jacobi steps on 32x32, amplitude 3 (a share of 3/4), blurred by .02 of a side."""
    grid = (32, 32)
    rho = relative_density(view_density(labels, size, targets), grid, 0.75, 0.02 * 31)
    return resize_sampling(jacobi_numba(rho, grid), size)


PLACEMENTS: dict[str, Placement] = {
    "uniform": lambda labels, size, targets: uniform_sampling(size),
    "energy, 8x8, smoothness 1": paper,
    "energy, full grid, default smoothness": full_grid,
    "energy, full grid, smoothness 1, faded pull": faded,
    "100 Jacobi steps on 32x32, amplitude 3, blur .02": jacobi,
    "equal density, share .5, blur 1": equal(),
    "equal density, share .35, blur 1": equal(share=0.35),
    "equal density, share .65, blur 1": equal(share=0.65),
    "equal density, share .5, blur .75": equal(blur=0.75),
    "equal density, share .5, blur .5": equal(blur=0.5),
    "equal density, share .5, blur 1.5": equal(blur=1.5),
    "equal density, share .5, blur 1, density to the power .7": equal(exponent=0.7),
}


def measure(folder: Path, split: str = "val") -> dict[str, Any]:
    """Ceilings of all placements on the images of a folder."""
    opened = open_folder(folder)
    classes, samples = opened.classes, opened.splits[split][::EVERY]
    count, targets = classes.num_classes, classes.targets
    sums = {(n, k): np.zeros((count, count), np.int64) for n in SIZES for k in PLACEMENTS}
    for done, sample in enumerate(samples, 1):
        assert sample.mask is not None  # open_folder keeps pairs only
        mask = read_mask(sample.mask, classes)
        labels = torch.from_numpy(mask.astype(np.int64))[None]
        for n in SIZES:
            for name, place in PLACEMENTS.items():
                phi = place(labels, (n, n), targets)[0].float()
                sums[n, name] += ceiling_confusion(mask, phi, count)
        print(f"\r{done} of {len(samples)} images", end="", flush=True)
    print()
    others = [k for k in range(count) if k not in targets]
    return {
        "question": "mIoU of true labels read at the samples and interpolated back",
        "data": folder.name,
        "split": split,
        "images": len(samples),
        "targets": [classes.names[k] for k in targets],
        "ceilings": {
            f"{n}x{n}": {
                name: {
                    "all": ceilings(sums[n, name], ())["all"],
                    "targets": ceilings(sums[n, name], targets or range(count))["target"],
                    "others": ceilings(sums[n, name], others or range(count))["target"],
                }
                for name in PLACEMENTS
            }
            for n in SIZES
        },
    }


def table(result: dict[str, Any]) -> str:
    lines = []
    for size, rows in result["ceilings"].items():
        lines.append(f"{size}: all / targets / others")
        for name, row in rows.items():
            lines.append(f"  {row['all']:.3f} {row['targets']:.3f} {row['others']:.3f}  {name}")
    return "\n".join(lines)


def run() -> None:
    print("needs a data folder: python -m benchmarks.ceilings FOLDER; left out")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceilings", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="val")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    result = {"benchmark": "ceilings", "environment": environment()}
    result |= measure(folder, arguments.split)
    path = RESULTS / f"ceilings_{folder.name}.json"
    write_json(result, path)
    print(table(result))


if __name__ == "__main__":
    main()
