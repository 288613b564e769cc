"""Scores at a grid of samples to the labels of a 1024 x 2048 image, 19 classes.

Ours against `F.interpolate(bilinear, align_corners=True)` + argmax, on uniform grids, and against
`scipy.interpolate.griddata(linear)` + argmax, which takes samples anywhere.
"""

import importlib.metadata
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.interpolate import griddata
from torch import Tensor
from torch.nn import functional as F

from benchmarks.timing import compare
from frugalseg._memory import tune_malloc
from frugalseg.sampling import interpolate, interpolate_argmax, uniform_sampling

SIZE = (1024, 2048)
CLASSES = 19
GRIDS = (64, 256)
BILINEAR = "F.interpolate + argmax"
GRIDDATA = "griddata + argmax"


def street(n: int, seed: int = 0) -> Tensor:
    """Scores like a network's of a street: regions and thin objects with soft edges, (1, 19, n, n).

    The regions are fractions of the image, so a finer grid sees the same street.
    """
    random = np.random.default_rng(seed)
    labels = np.full((n, n), 0)
    row, column = np.mgrid[0:n, 0:n] / (n - 1)

    def block(top: float, left: float, height: float, width: float, label: int) -> None:
        inside = (row >= top) & (row < top + height) & (column >= left)
        labels[inside & (column < left + max(width, 1.01 / n))] = label

    def disc(y: float, x: float, height: float, width: float, label: int) -> None:
        labels[((row - y) / height) ** 2 + ((column - x) / width) ** 2 < 1] = label

    labels[row < 0.42] = 10  # sky over the road
    for left in np.linspace(0, 0.92, 9):  # houses, walls, fences
        top = random.uniform(0.05, 0.38)
        block(top, left, 0.55 - top, random.uniform(0.06, 0.15), int(random.integers(2, 5)))
    labels[(row > 0.5) & (np.abs(column - 0.5) > 0.15 + 0.9 * (row - 0.5))] = 1  # pavement
    for _ in range(12):  # trees, grass
        disc(*random.uniform((0.2, 0, 0.04, 0.02), (0.55, 1, 0.16, 0.08)), 8)
    for _ in range(12):  # cars, lorries, buses, ...
        block(*random.uniform((0.45, 0, 0.05, 0.04), (0.6, 1, 0.15, 0.12)), random.integers(13, 19))
    for _ in range(14):  # people
        block(*random.uniform((0.42, 0, 0.06, 0.008), (0.55, 1, 0.15, 0.02)), 11)
    for _ in range(16):  # poles, lights, signs
        left, top = random.uniform(0, 1), random.uniform(0.1, 0.3)
        block(top, left, 0.35, 0.004, 5)
        block(top, left - 0.008, 0.03, 0.02, int(random.integers(6, 8)))
    hard = F.one_hot(torch.from_numpy(labels), CLASSES).permute(2, 0, 1)[None].float()
    soft = F.avg_pool2d(F.pad(8 * hard, (1, 1, 1, 1), mode="replicate"), 3, 1)
    generator = torch.Generator().manual_seed(seed)
    return soft + 0.3 * torch.randn(soft.shape, generator=generator)


def noise(n: int, seed: int = 0) -> Tensor:
    """Independent normal scores: nothing to skip, the worst case."""
    return torch.randn((1, CLASSES, n, n), generator=torch.Generator().manual_seed(seed))


def blurred(n: int, seed: int = 0) -> Tensor:
    """Noise averaged over 9 x 9 samples: many small regions, soft everywhere."""
    return 9 * F.avg_pool2d(F.pad(noise(n, seed), (4, 4, 4, 4), mode="reflect"), 9, 1)


def bent(n: int) -> Tensor:
    """A covering sampling without folds, far from uniform, (1, n, n, 2)."""
    phi = uniform_sampling((n, n))
    bend = 0.1 * torch.sin(2 * torch.pi * phi) * torch.sin(torch.pi * phi.flip(-1))
    return phi + bend


def by_bilinear(scores: Tensor) -> Tensor:
    return F.interpolate(scores, SIZE, mode="bilinear", align_corners=True).argmax(1)


def by_griddata(scores: Tensor, phi: Tensor) -> np.ndarray:
    places = (phi[0] * (torch.tensor(SIZE) - 1)).reshape(-1, 2).double().numpy()
    values = scores[0].flatten(1).T.double().numpy()
    pixels = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    return griddata(places, values, tuple(pixels), method="linear").argmax(-1)


def agreement(scores: Tensor, phi: Tensor) -> dict[str, float]:
    """Share of pixels with the same label as the plain methods; bilinear differs within cells."""
    labels = interpolate_argmax(scores, phi, SIZE)
    plain = interpolate(scores, phi, SIZE).argmax(1)
    return {
        "interpolate + argmax": (labels == plain).float().mean().item(),
        BILINEAR: (labels == by_bilinear(scores)).float().mean().item(),
    }


def on_uniform(n: int, kind: str, make: Callable[[int], Tensor]) -> dict[str, Any]:
    scores, phi = make(n), uniform_sampling((n, n))
    row = compare(
        f"{n}x{n}, {kind}",
        partial(interpolate_argmax, scores, phi, SIZE),
        {BILINEAR: partial(by_bilinear, scores)},
        rounds=11,
        target={BILINEAR: 20},
    )
    return {**row, "same_labels": agreement(scores, phi)}


def run() -> dict[str, Any]:
    begin = time.perf_counter()
    interpolate_argmax(noise(4), uniform_sampling((4, 4)), (8, 8))
    first_call = time.perf_counter() - begin
    kinds = {"street": street, "blurred noise": blurred, "noise, the worst case": noise}
    comparisons = [on_uniform(n, kind, make) for n in GRIDS for kind, make in kinds.items()]
    for n in GRIDS:
        for kind, phi in (("uniform", uniform_sampling((n, n))), ("bent", bent(n))):
            scores = street(n)
            ours = partial(interpolate_argmax, scores, phi, SIZE)
            theirs = partial(by_griddata, scores, phi)
            row = compare(
                f"{n}x{n}, street, {kind}", ours, {GRIDDATA: theirs}, 3, 1, {GRIDDATA: 100}
            )
            same = (ours()[0].numpy() == theirs()).mean().item()
            comparisons.append({**row, "same_labels": {GRIDDATA: same}})
    tune_malloc()  # last, as it cannot be undone
    comparisons += [on_uniform(n, "street, freed memory kept", street) for n in GRIDS]
    return {
        "question": f"labels of {SIZE[0]}x{SIZE[1]} pixels from scores of {CLASSES} classes at "
        "grids of samples, from tensor to tensor",
        "versions": {"scipy": importlib.metadata.version("scipy")},
        "first_call_seconds": first_call,
        "comparisons": comparisons,
    }
