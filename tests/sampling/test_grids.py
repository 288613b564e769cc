import numpy as np
import pytest
import torch

from frugalseg.sampling import (
    blend_with_uniform,
    cell_spacing,
    cover,
    folded_cells,
    resize_sampling,
    uniform_sampling,
)


def is_covering(phi):
    row, col = phi.unbind(-1)
    return bool(
        (row[:, 0] == 0).all()
        and (row[:, -1] == 1).all()
        and (col[:, :, 0] == 0).all()
        and (col[:, :, -1] == 1).all()
        and (phi >= 0).all()
        and (phi <= 1).all()
    )


def wild(batch=2, size=(5, 7), dtype=torch.float32, seed=0):
    """A sampling that leaves [0, 1] and folds."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(batch, *size, 2, generator=generator, dtype=dtype)
    return uniform_sampling(size, batch, dtype) + 0.5 * noise


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(2, 2), (3, 8), (64, 33)])
def test_uniform_sampling_is_the_grid_of_fractions(size, dtype):
    phi = uniform_sampling(size, 3, dtype)
    expected = np.stack(np.mgrid[: size[0], : size[1]], -1) / (np.array(size) - 1)
    assert phi.dtype == dtype
    np.testing.assert_allclose(phi.numpy(), np.stack([expected] * 3), atol=1e-7)
    assert is_covering(phi)


@pytest.mark.parametrize("size", [(1, 4), (4, 1), (0, 0)])
def test_too_few_samples_are_refused(size):
    with pytest.raises(ValueError, match="at least 2x2"):
        uniform_sampling(size)
    with pytest.raises(ValueError, match="at least 2"):
        cover(torch.zeros(1, *size, 2))


def test_cover_fixes_the_border_and_leaves_sound_places_alone():
    phi = wild()
    before = phi.clone()
    covered = cover(phi)
    assert is_covering(covered)
    assert torch.equal(phi, before)
    inside = phi.clamp(0, 1)
    assert torch.equal(covered[:, 1:-1, 1:-1], inside[:, 1:-1, 1:-1])
    assert torch.equal(covered[:, 0, 1:-1, 1], inside[:, 0, 1:-1, 1])
    assert torch.equal(covered[:, 1:-1, 0, 0], inside[:, 1:-1, 0, 0])
    assert torch.equal(cover(covered), covered)


def test_cover_is_differentiable():
    phi = uniform_sampling((4, 3), 2, torch.float64) * 0.8 + 0.1
    assert torch.autograd.gradcheck(cover, phi.requires_grad_())
    (gradient,) = torch.autograd.grad(cover(phi).sum(), phi)
    assert (gradient[:, 0, :, 0] == 0).all()
    assert (gradient[:, 1:-1, :, 0] == 1).all()


@pytest.mark.parametrize("size", [(2, 2), (9, 6), (64, 64), (5, 7)])
def test_resizing_keeps_the_covering_exactly(size):
    assert is_covering(resize_sampling(cover(wild(seed=3)), size))


def test_resizing_is_bilinear_between_aligned_corners():
    phi = wild(1, (3, 3), torch.float64)
    large = resize_sampling(phi, (5, 5))
    torch.testing.assert_close(large[:, ::2, ::2], phi)
    torch.testing.assert_close(large[:, ::2, 1], (phi[:, :, 0] + phi[:, :, 1]) / 2)
    middle = (phi[:, :-1, :-1] + phi[:, 1:, :-1] + phi[:, :-1, 1:] + phi[:, 1:, 1:]) / 4
    torch.testing.assert_close(large[:, 1::2, 1::2], middle)


def test_blending_runs_from_uniform_to_the_sampling():
    phi = cover(wild())
    uniform = uniform_sampling((5, 7), 2)
    assert torch.equal(blend_with_uniform(phi, 0.0), uniform)
    torch.testing.assert_close(blend_with_uniform(phi, 1.0), phi)
    torch.testing.assert_close(blend_with_uniform(phi, 0.25), 0.75 * uniform + 0.25 * phi)
    apart = blend_with_uniform(phi, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(apart, torch.stack([uniform[0], phi[1]]))
    with pytest.raises(ValueError, match="each of 2 images"):
        blend_with_uniform(phi, torch.zeros(3))


def slow_folded(phi):
    """Share of cells that are not strictly convex and rightly turned: triangle by triangle."""
    height, width, _ = phi.shape
    folded = 0
    for i in range(height - 1):
        for j in range(width - 1):
            # clockwise on the screen: rows grow downwards
            ring = [phi[i, j], phi[i, j + 1], phi[i + 1, j + 1], phi[i + 1, j]]
            for k in range(4):
                a, b, c = ring[k - 1], ring[k], ring[(k + 1) % 4]
                matrix = np.array([[a[1], a[0], 1], [b[1], b[0], 1], [c[1], c[0], 1]])
                if np.linalg.det(matrix) <= 0:
                    folded += 1
                    break
    return folded / ((height - 1) * (width - 1))


def test_folded_cells_against_the_determinant_of_each_corner():
    phi = torch.cat([wild(1, dtype=torch.float64), uniform_sampling((5, 7), 1, torch.float64)])
    expected = [slow_folded(one.numpy()) for one in phi]
    assert 0 < expected[0] < 1
    assert expected[1] == 0
    assert folded_cells(phi).tolist() == pytest.approx(expected)


def test_mirrored_and_collapsed_samplings_are_folded_everywhere():
    uniform = uniform_sampling((4, 5))
    assert folded_cells(uniform.flip(2)).item() == 1
    assert folded_cells(torch.zeros_like(uniform)).item() == 1
    assert folded_cells(uniform.flip(1).flip(2)).item() == 0  # turned by 180 degrees


def test_cell_spacing_of_known_warps():
    assert torch.allclose(cell_spacing(uniform_sampling((9, 4))), torch.ones(()), atol=1e-6)
    place = torch.linspace(0, 1, 65, dtype=torch.float64)
    warped = torch.stack(torch.meshgrid(place**2, place**3, indexing="ij"), -1)[None]
    spacing = cell_spacing(warped)[0, 1:-1, 1:-1]
    torch.testing.assert_close(spacing[:, 0, 0], 2 * place[1:-1], rtol=0, atol=1e-9)
    torch.testing.assert_close(spacing[0, :, 1], 3 * place[1:-1] ** 2, rtol=0, atol=1e-3)
    ends = cell_spacing(warped)[0, :, 0, 0]
    assert ends[0].item() == pytest.approx(1 / 64)
    assert ends[-1].item() == pytest.approx((1 - (63 / 64) ** 2) * 64)


def test_cell_spacing_is_positive_whatever_the_sampling():
    assert (cell_spacing(torch.zeros(1, 2, 2, 2)) > 0).all()
    mirrored = cell_spacing(uniform_sampling((4, 4)).flip(1, 2))
    assert torch.allclose(mirrored, torch.ones(()), atol=1e-6)
