import numpy as np
import pytest
import torch

from frugalseg.sampling import cover, folded_cells, saliency_sampling, uniform_sampling
from reference.saliency import slow_saliency_sampling


def random_saliency(shape=(2, 6, 9), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64) ** 3


@pytest.mark.parametrize("size", [(6, 9), (4, 5), (12, 7)])
@pytest.mark.parametrize("sigma", [0.08, 0.18, 0.6])
def test_against_the_sum_over_mirrored_places(size, sigma):
    saliency = random_saliency()
    phi = saliency_sampling(saliency, size, sigma)
    for found, one in zip(phi, saliency, strict=True):
        expected = slow_saliency_sampling(one.numpy(), size, sigma)
        # the little saliency that is added everywhere shows in the sixth digit
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_it_covers_and_has_the_dtype_of_the_saliency():
    for dtype in (torch.float32, torch.float64):
        phi = saliency_sampling(random_saliency().to(dtype), (16, 12))
        assert phi.dtype == dtype
        assert torch.equal(cover(phi), phi)


@pytest.mark.parametrize("value", [0.0, 1e-4, 50.0])
def test_constant_saliency_is_uniform(value):
    phi = saliency_sampling(torch.full((2, 32, 24), value), (16, 20))
    torch.testing.assert_close(phi, uniform_sampling((16, 20), 2), rtol=0, atol=1e-5)


def test_the_scale_of_saliency_does_not_matter():
    saliency = random_saliency()
    torch.testing.assert_close(
        saliency_sampling(saliency, (8, 8)), saliency_sampling(1e-3 * saliency, (8, 8))
    )


def test_samples_gather_where_the_saliency_is():
    saliency = torch.ones(1, 33, 33, dtype=torch.float64)
    saliency[0, 14:19, 22:27] = 200
    phi = saliency_sampling(saliency, (32, 32), 0.12)
    goal = torch.tensor([0.5, 0.75], dtype=torch.float64)

    def inside(points):
        return ((points - goal).abs() < 0.1).all(-1).sum().item()

    assert inside(phi) > 1.5 * inside(uniform_sampling((32, 32), 1, torch.float64))
    assert folded_cells(phi).item() == 0


def test_it_is_differentiable_in_the_saliency():
    saliency = random_saliency((2, 4, 5)) + 0.1
    assert torch.autograd.gradcheck(
        lambda s: saliency_sampling(s, (5, 4), 0.2), saliency.requires_grad_()
    )


def test_a_batch_is_as_its_images():
    saliency = random_saliency((3, 7, 5))
    together = saliency_sampling(saliency, (6, 6))
    for n in range(3):
        torch.testing.assert_close(
            together[n : n + 1], saliency_sampling(saliency[n : n + 1], (6, 6))
        )


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"\(N, h, w\)"):
        saliency_sampling(torch.ones(4, 4), (4, 4))
    with pytest.raises(ValueError, match="sigma"):
        saliency_sampling(torch.ones(1, 4, 4), (4, 4), 0.0)
