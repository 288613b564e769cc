from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from frugalseg.sampling import (
    boundary_energy,
    boundary_sampling,
    cover,
    folded_cells,
    minimise_boundary_energy,
    nearest_boundary,
    resize_sampling,
    scaled_smoothness,
    semantic_boundaries,
    uniform_sampling,
)
from reference.energy import dense_minimiser, slow_energy

SIZES = [(2, 2), (2, 5), (5, 2), (3, 3), (8, 8), (7, 12)]


def random_nearest(size, batch=2, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, *size, 2, generator=generator, dtype=dtype)


def discs(shape, seed=0, count=4):
    """Label maps of a few ellipses, of the same relative shape at any resolution."""
    rng = np.random.default_rng(seed)
    row, col = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1]), indexing="ij")
    labels = np.zeros(shape, np.int64)
    for k in range(count):
        (y, x), (a, b) = rng.random(2), rng.uniform(0.08, 0.25, 2)
        labels[((row - y) / a) ** 2 + ((col - x) / b) ** 2 < 1] = k + 1
    return torch.from_numpy(labels)[None]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("smoothness", [0.0, 1.0, (0.3, 7.0)])
def test_minimiser_against_a_dense_solve(size, smoothness):
    nearest = random_nearest(size)
    phi = minimise_boundary_energy(nearest, smoothness)
    weights = smoothness if isinstance(smoothness, tuple) else (smoothness, smoothness)
    for found, one in zip(phi, nearest, strict=True):
        np.testing.assert_allclose(found, dense_minimiser(one.numpy(), weights), atol=1e-10)


@pytest.mark.parametrize("smoothness", [0.7, (0.3, 7.0)])
def test_energy_against_a_sum_over_pairs(smoothness):
    phi, nearest = random_nearest((4, 6)), random_nearest((4, 6), seed=1)
    weights = smoothness if isinstance(smoothness, tuple) else (smoothness, smoothness)
    expected = [
        slow_energy(p, b, weights) for p, b in zip(phi.numpy(), nearest.numpy(), strict=True)
    ]
    assert boundary_energy(phi, nearest, smoothness).tolist() == pytest.approx(expected)


def test_no_covering_change_lowers_the_energy():
    nearest = random_nearest((6, 9), 1)
    phi = minimise_boundary_energy(nearest, 1.0)
    least = boundary_energy(phi, nearest, 1.0).item()
    for seed in range(20):
        noise = random_nearest((6, 9), 1, seed=seed + 1) - 0.5
        for scale in (1e-4, 1e-2, 1.0):
            other = cover(phi + scale * noise)
            assert boundary_energy(other, nearest, 1.0).item() > least


def test_the_gradient_of_the_energy_vanishes_at_the_minimiser():
    nearest = random_nearest((6, 9), 2)
    phi = minimise_boundary_energy(nearest, 2.5).requires_grad_()
    (gradient,) = torch.autograd.grad(boundary_energy(phi, nearest, 2.5).sum(), phi)
    assert gradient[:, 1:-1, :, 0].abs().max() < 1e-10
    assert gradient[:, :, 1:-1, 1].abs().max() < 1e-10


def test_limits_of_smoothness():
    nearest = random_nearest((9, 7))
    uniform = uniform_sampling((9, 7), 2, torch.float64)
    stiff = minimise_boundary_energy(nearest, 1e12)
    torch.testing.assert_close(stiff, uniform, rtol=0, atol=1e-10)
    free = minimise_boundary_energy(nearest, 0.0)
    torch.testing.assert_close(free[:, 1:-1, 1:-1], nearest[:, 1:-1, 1:-1])
    assert torch.equal(minimise_boundary_energy(uniform, 1.0), uniform)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_border_is_exact_and_the_dtype_kept(dtype):
    phi = minimise_boundary_energy(random_nearest((16, 24), 3, dtype), 0.5)
    assert phi.dtype == dtype
    assert torch.equal(cover(phi), phi)
    precise = minimise_boundary_energy(random_nearest((16, 24), 3, dtype).double(), 0.5)
    torch.testing.assert_close(phi.double(), precise, rtol=0, atol=1e-5)


def test_smoothness_for_each_image_and_a_batch_as_its_images():
    nearest = random_nearest((5, 6), 3)
    smoothness = torch.tensor([0.1, 1.0, 30.0])
    together = minimise_boundary_energy(nearest, smoothness)
    energies = boundary_energy(together, nearest, smoothness)
    for n in range(3):
        one = minimise_boundary_energy(nearest[n : n + 1], float(smoothness[n]))
        torch.testing.assert_close(together[n], one[0], rtol=1e-6, atol=1e-8)
        energy = boundary_energy(one, nearest[n : n + 1], float(smoothness[n]))
        assert energies[n].item() == pytest.approx(energy.item(), rel=1e-6)
    with pytest.raises(ValueError, match="each of 3 images"):
        minimise_boundary_energy(nearest, torch.ones(2))


def test_the_minimiser_is_differentiable_also_after_inference_mode():
    with torch.inference_mode():
        minimise_boundary_energy(random_nearest((4, 3)), 1.0)
    nearest = random_nearest((4, 3)).requires_grad_()
    smoothness = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(minimise_boundary_energy, (nearest, smoothness))


def test_one_smoothness_means_one_warp_on_every_control_grid():
    labels = discs((255, 255))
    samples = [boundary_sampling(labels, (65, 65), 1.0, control=(n, n)) for n in (8, 16, 33, 65)]
    uniform = uniform_sampling((65, 65))
    for coarse, fine in pairwise(samples):
        warp = (fine - uniform).square().mean().sqrt()
        assert (coarse - fine).square().mean().sqrt() < 0.3 * warp
    unscaled = minimise_boundary_energy(
        nearest_boundary(semantic_boundaries(labels), (65, 65)), 1.0
    )
    assert (unscaled - samples[-1]).square().mean().sqrt() > 0.5 * warp


def test_the_warp_is_the_same_on_grids_with_unequal_sides():
    labels = discs((240, 240), 1)
    square = boundary_sampling(labels, (33, 33), 0.5)
    tall = boundary_sampling(labels, (33, 33), 0.5, control=(65, 17))
    warp = (square - uniform_sampling((33, 33))).square().mean().sqrt()
    assert (square - tall).square().mean().sqrt() < 0.1 * warp


def test_boundary_sampling_joins_the_steps():
    labels = discs((60, 100), 2)
    labels[:, :8] = 255
    phi = boundary_sampling(labels, (20, 30), 0.4, (8, 9), targets=[2])
    nearest = nearest_boundary(semantic_boundaries(labels, [2]), (8, 9))
    small = minimise_boundary_energy(nearest, scaled_smoothness(0.4, (8, 9)))
    assert torch.equal(phi, resize_sampling(small, (20, 30)))


def test_the_papers_sampling_does_not_fold_and_draws_samples_to_boundaries():
    for seed in range(10):
        labels = discs((128, 128), seed)
        phi = boundary_sampling(labels, (32, 32), smoothness=1.0, control=(8, 8))
        assert folded_cells(phi).item() == 0
        near = ~semantic_boundaries(labels)[0].numpy()
        near = torch.from_numpy(distance_transform_edt(near) <= 4)

        def share(points, near=near):
            row, col = (points[0] * 127).round().long().unbind(-1)
            return near[row, col].double().mean().item()

        assert share(phi) > share(uniform_sampling((32, 32)))


def test_without_boundaries_sampling_is_uniform():
    phi = boundary_sampling(torch.full((2, 30, 40), 255), (9, 11), control=(4, 4))
    assert torch.equal(phi, uniform_sampling((9, 11), 2))


@pytest.mark.parametrize(
    "smoothness", [-1.0, float("nan"), float("inf"), (1.0, -0.1), torch.tensor([1.0, -1.0])]
)
def test_a_smoothness_without_a_least_energy_is_refused(smoothness):
    nearest = random_nearest((5, 6))
    with pytest.raises(ValueError, match="smoothness is at least 0"):
        minimise_boundary_energy(nearest, smoothness)
    with pytest.raises(ValueError, match="smoothness is at least 0"):
        boundary_energy(nearest, nearest, smoothness)
