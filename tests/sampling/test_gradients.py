import numpy as np
import pytest
import torch

from frugalseg.sampling import gradient_density


def test_against_numpy():
    image = np.random.default_rng(0).random((2, 3, 9, 12))
    found = gradient_density(torch.from_numpy(image), chroma=3.0).numpy()
    for colours, density in zip(image, found, strict=True):
        luma = np.tensordot([0.299, 0.587, 0.114], colours, 1)
        parts = [luma, 3 * (colours[0] - luma), 3 * (colours[2] - luma)]
        # inside only: at the border numpy takes one-sided differences
        magnitude = np.sqrt(sum(g**2 for part in parts for g in np.gradient(part)))[1:-1, 1:-1]
        inner = density[1:-1, 1:-1]
        shift = (magnitude - inner)[inner > 0]
        assert shift == pytest.approx(shift[0])  # the median of the whole image
        assert (magnitude[inner == 0] <= shift[0] + 1e-12).all()
        assert (density == 0).mean() == pytest.approx(0.5, abs=0.01)


def test_brightness_alone_and_colour_alone_are_seen():
    image = torch.full((1, 3, 4, 8), 0.5)
    brighter, redder = image.clone(), image.clone()
    brighter[..., 4:] += 0.1
    redder[:, 0, :, 4:] += 0.1 / 0.299 * 0.587
    redder[:, 1, :, 4:] -= 0.1  # the same luma
    luma_edge = gradient_density(brighter)[0, 0]
    assert luma_edge.tolist() == pytest.approx([0, 0, 0, 0.05, 0.05, 0, 0, 0], abs=1e-6)
    assert gradient_density(redder, chroma=0)[0].max() < 1e-6
    assert gradient_density(redder)[0, 0, 3] > 0.1


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="N, 3, a, b"):
        gradient_density(torch.zeros(3, 4, 4))
