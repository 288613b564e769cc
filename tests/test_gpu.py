"""On a GPU the tensor functions give what they give on the CPU; skipped where there is none."""

import pytest
import torch

from frugalseg import load
from frugalseg.iic import iic_loss
from frugalseg.sampling import (
    boundary_energy,
    equal_density_sampling,
    folded_cells,
    interpolate,
    interpolate_argmax,
    minimise_boundary_energy,
    saliency_sampling,
    sample,
    uniform_sampling,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=dtype)


def bent(n: int, h: int, w: int, dtype: torch.dtype, folds: bool = False) -> torch.Tensor:
    phi = uniform_sampling((h, w), n, dtype)
    amount = 0.5 if folds else 0.1
    bend = amount * torch.sin(2 * torch.pi * phi) * torch.sin(torch.pi * phi.flip(-1))
    moved: torch.Tensor = (phi + bend).clamp(0, 1)
    return moved


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.parametrize("size", [(61, 97), (512, 300)])
def test_interpolation_agrees_with_the_cpu(dtype, folds, size):
    phi = bent(2, 17, 23, dtype, folds)
    scores = noise(2, 11, 17, 23, dtype=dtype).requires_grad_()
    there = scores.detach().cuda().requires_grad_()
    here, gone = interpolate(scores, phi, size), interpolate(there, phi.cuda(), size)
    torch.testing.assert_close(gone.cpu(), here)
    weight = noise(*here.shape, dtype=dtype)
    (here * weight).sum().backward()
    (gone * weight.cuda()).sum().backward()
    torch.testing.assert_close(there.grad.cpu(), scores.grad, rtol=1e-4, atol=1e-4)
    labels = interpolate_argmax(there, phi.cuda(), size).cpu()
    differ = labels != interpolate_argmax(scores, phi, size)
    assert differ.float().mean() < 1e-4  # rounding where classes tie


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_density_agrees_with_the_cpu(dtype):
    density = noise(3, 24, 40, dtype=dtype).abs() ** 3
    there = density.cuda().requires_grad_()
    phi = equal_density_sampling(there, (20, 28))
    assert phi.is_cuda
    assert not folded_cells(phi).any()
    density.requires_grad_()
    here = equal_density_sampling(density, (20, 28))
    torch.testing.assert_close(phi.cpu(), here, rtol=0, atol=1e-5)
    (here**2).sum().backward()
    (phi**2).sum().backward()
    torch.testing.assert_close(there.grad.cpu(), density.grad, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_energy_and_its_minimiser_agree_with_the_cpu(dtype):
    nearest = noise(3, 33, 18, 2, dtype=dtype).sigmoid()
    here = minimise_boundary_energy(nearest, 3.0)
    there = minimise_boundary_energy(nearest.cuda(), 3.0)
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-5)
    energies = boundary_energy(there, nearest.cuda(), 3.0).cpu()
    torch.testing.assert_close(energies, boundary_energy(here, nearest, 3.0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("antialias", [False, True])
def test_reading_an_image_agrees_with_the_cpu(antialias):
    image, phi = noise(2, 3, 80, 120), bent(2, 16, 20, torch.float32)
    there = sample(image.cuda(), phi.cuda(), antialias=antialias)
    expected = sample(image, phi, antialias=antialias)
    torch.testing.assert_close(there.cpu(), expected, rtol=1e-3, atol=1e-3)


def test_the_kernel_sampler_agrees_with_the_cpu():
    saliency = noise(2, 20, 30).sigmoid()
    there = saliency_sampling(saliency.cuda(), (12, 16))
    torch.testing.assert_close(there.cpu(), saliency_sampling(saliency, (12, 16)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_clustering_loss_agrees_with_the_cpu(dtype):
    p, q = noise(5, 40, 10).softmax(-1).to(dtype), noise(5, 3, 40, 10).softmax(-1).to(dtype)
    there = iic_loss(p.cuda(), q.cuda())
    torch.testing.assert_close(there.cpu(), iic_loss(p, q), rtol=1e-4, atol=1e-5)


def test_a_run_answers_as_on_the_cpu(trained, scenes):
    model = load(trained["density"])
    assert model.device.type == "cuda"
    image = scenes / "images/test/scene_00000.jpg"
    there, here = model.predict(image), model.cpu().predict(image)
    torch.testing.assert_close(there.phi, here.phi, rtol=0, atol=1e-3)
    assert (there.labels == here.labels).mean() > 0.98
