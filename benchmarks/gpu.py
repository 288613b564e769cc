"""Speed-up by a GPU: interpolation by its kernels, and the best device for equal density.

Nothing is measured without a GPU. Times include waiting for the device.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.interpolation import BILINEAR, SIZE, bent, blurred, by_bilinear, street
from benchmarks.tensor_density import place_with_tensors
from benchmarks.timing import compare
from frugalseg.iic import iic_loss
from frugalseg.sampling import (
    equal_density_sampling,
    interpolate,
    interpolate_argmax,
    minimise_boundary_energy,
    uniform_sampling,
)
from frugalseg.sampling.density import relative_density

TENSORS = "the same in tensor operations on the GPU"
CPU = "the same on the CPU"


def waiting(function: Callable[[], Any]) -> Callable[[], None]:
    """The function, followed by waiting for the device."""

    def timed() -> None:
        function()
        torch.cuda.synchronize()

    return timed


def on_argmax(n: int, kind: str, make: Callable[[int], Tensor], phi: Tensor) -> dict[str, Any]:
    scores = make(n)
    there, places = scores.cuda(), phi.cuda()
    row = compare(
        f"labels from {n}x{n}, {kind}",
        waiting(partial(interpolate_argmax, there, places, SIZE)),
        {
            BILINEAR: waiting(partial(by_bilinear, there)),
            CPU: partial(interpolate_argmax, scores, phi, SIZE),
        },
        rounds=11,
        warm_up=3,
    )
    same = interpolate_argmax(there, places, SIZE).cpu() == interpolate_argmax(scores, phi, SIZE)
    return {**row, "same_labels": same.float().mean().item()}


def on_interpolation(n: int) -> dict[str, Any]:
    """Forward and backward, against the bilinear one of uniform grids."""
    scores, phi = street(n).cuda().requires_grad_(), bent(n).cuda()
    weight = torch.randn(1, scores.shape[1], *SIZE, device="cuda")

    def ours() -> None:
        (interpolate(scores, phi, SIZE) * weight).sum().backward()

    def bilinear() -> None:
        up = torch.nn.functional.interpolate(scores, SIZE, mode="bilinear", align_corners=True)
        (up * weight).sum().backward()

    return compare(
        f"scores from {n}x{n}, forward and backward",
        waiting(ours),
        {"F.interpolate": waiting(bilinear)},
        rounds=11,
        warm_up=3,
    )


def on_equal_density(n: int, images: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(n)
    density = torch.rand(images, n, 2 * n, generator=generator) ** 8
    there = density.cuda()
    size = (n, n)

    def tensors() -> Tensor:
        return place_with_tensors(relative_density(there, size), size, 12)

    row = compare(
        f"equal density, {images} of {n}x{n}",
        waiting(partial(equal_density_sampling, there, size)),
        {TENSORS: waiting(tensors), CPU: partial(equal_density_sampling, density, size)},
        rounds=5,
    )
    apart = (equal_density_sampling(there, size) - tensors()).abs().max().item()
    return {**row, "largest_difference": apart}


def on_minimiser(n: int, images: int) -> dict[str, Any]:
    nearest = torch.rand(images, n, n, 2, generator=torch.Generator().manual_seed(n))
    there = nearest.cuda()
    row = compare(
        f"minimiser of the energy, {images} of {n}x{n}",
        waiting(partial(minimise_boundary_energy, there, 3.0)),
        {CPU: partial(minimise_boundary_energy, nearest, 3.0)},
        rounds=11,
        warm_up=3,
    )
    on_gpu, on_cpu = (minimise_boundary_energy(x, 3.0).cpu() for x in (there, nearest))
    return {**row, "largest_difference": (on_gpu - on_cpu).abs().max().item()}


def on_loss(clusters: int) -> dict[str, Any]:
    from benchmarks.clustering import assignments, published_loss

    p, q = (x.detach().cuda() for x in assignments(clusters))

    def backward(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        a, b = p.requires_grad_(), q.requires_grad_()
        torch.autograd.grad(loss(a, b).mean(), (a, b))

    return compare(
        f"clustering loss, forward and backward, k={clusters}",
        waiting(partial(backward, iic_loss)),
        {"as published": waiting(partial(backward, published_loss))},
        rounds=21,
        warm_up=3,
    )


def run() -> dict[str, Any] | None:
    if not torch.cuda.is_available():
        sys.stderr.write("There is no GPU here: nothing measured.\n")
        return None
    comparisons = [
        *(on_argmax(n, "street, uniform", street, uniform_sampling((n, n))) for n in (64, 256)),
        *(on_argmax(n, "blurred noise, bent", blurred, bent(n)) for n in (64, 256)),
        *(on_interpolation(n) for n in (64, 256)),
        *(on_equal_density(n, images) for n, images in ((32, 1), (32, 16), (64, 16))),
        *(on_minimiser(n, images) for n, images in ((128, 1), (128, 8), (256, 8))),
        *(on_loss(clusters) for clusters in (10, 70)),
    ]
    return {
        "question": "what a GPU gains, from tensor to tensor on the device that is named",
        "comparisons": comparisons,
    }
