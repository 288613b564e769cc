"""Strips of an interpolated image are its rows, bit for bit."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from frugalseg.sampling import interpolate, interpolate_argmax, uniform_sampling


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sampling(grid: tuple[int, int], amount: float, covers: bool, seed: int) -> Tensor:
    """Two samplings with noise of so many cells, on the sides of the image or within."""
    phi = uniform_sampling(grid, 2)
    phi = phi + amount * noise(*phi.shape, seed=seed) / torch.tensor(grid)
    if not covers:
        return 0.1 + 0.7 * phi.clamp(0, 1)
    phi[:, 0, :, 0], phi[:, -1, :, 0], phi[:, :, 0, 1], phi[:, :, -1, 1] = 0, 1, 0, 1
    return phi


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(2, 7), st.integers(2, 7)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from([0.0, 0.1, 0.5, 2.0]),
    st.booleans(),
    st.integers(1, 40),
)
def test_strips_are_the_rows_of_the_whole(seed, grid, size, amount, covers, rows):
    phi, scores = sampling(grid, amount, covers, seed), noise(2, 5, *grid, seed=seed)
    ends = [*range(0, size[0], rows), size[0]]
    for function in (interpolate, interpolate_argmax):
        strips = [function(scores, phi, size, strip) for strip in pairwise(ends)]
        assert torch.equal(torch.cat(strips, -2), function(scores, phi, size))


def test_strips_of_a_large_image_are_its_rows():
    """Small and large cells, wide spans, places far from the first row."""
    phi, size = sampling((12, 9), 0.8, True, 1), (6000, 700)
    scores = noise(2, 19, 12, 9, seed=2)
    whole = interpolate_argmax(scores, phi, size)
    for rows in ((0, 1), (1, 2), (998, 1803), (5999, 6000), (0, 6000)):
        strip = interpolate_argmax(scores, phi, size, rows)
        assert torch.equal(strip, whole[:, slice(*rows)])


@pytest.mark.parametrize("rows", [(-1, 2), (2, 2), (3, 5)])
def test_rows_outside_the_image_are_refused(rows):
    for function in (interpolate, interpolate_argmax):
        with pytest.raises(ValueError, match="rows must be"):
            function(torch.zeros(1, 2, 3, 3), uniform_sampling((3, 3)), (4, 4), rows)
