import numpy as np
import pytest
import torch
from scipy import ndimage

from frugalseg.sampling import (
    boundary_density,
    boundary_maps,
    fade_pull,
    nearest_boundary,
    semantic_boundaries,
    uniform_sampling,
)
from frugalseg.sampling.boundaries import _nearest_pixels_torch, _node_pixels
from reference.boundaries import slow_area_average, slow_boundaries, slow_nearest_distances


def blobs(shape=(2, 13, 17), seed=0):
    """Label maps of classes 0 to 3 and ignored pixels, in pieces of a few pixels."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0, 1, 2, 3, 255], (shape[0], -(-shape[1] // 3), -(-shape[2] // 3)))
    return coarse.repeat(3, 1).repeat(3, 2)[:, : shape[1], : shape[2]]


@pytest.mark.parametrize("targets", [None, [1], [0, 3]])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_boundaries_against_the_definition(targets, dtype):
    labels = blobs()
    marked = semantic_boundaries(torch.from_numpy(labels).to(dtype), targets)
    expected = slow_boundaries(labels, targets, 255)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(marked.numpy(), expected)


def test_another_ignore_index():
    labels = torch.tensor([[[0, 0, 7, 1, 255]]])
    assert semantic_boundaries(labels, ignore_index=7).tolist() == [[[0, 1, 0, 1, 1]]]


def test_the_target_side_of_an_edge_towards_ignored_pixels_survives():
    labels = torch.tensor([[[3, 3, 255, 255, 0, 0]]])
    assert semantic_boundaries(labels, [3])[0, 0].tolist() == [False, True] + [False] * 4
    assert semantic_boundaries(labels, [0])[0, 0].tolist() == [False] * 4 + [True, False]


def test_the_shape_of_labels_is_checked():
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        semantic_boundaries(torch.zeros(4, 4))
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        nearest_boundary(torch.zeros(4, 4), (2, 2))


def squared_distances(nearest, size, shape):
    """Squared pixel distances of what was found; it must lie on pixels."""
    height, width = shape
    pixel = nearest.double().numpy() * (np.array(shape) - 1)
    np.testing.assert_allclose(pixel, pixel.round(), atol=1e-4)
    rows, cols = _node_pixels(size[0], height), _node_pixels(size[1], width)
    nodes = np.stack(np.meshgrid(rows, cols, indexing="ij"), -1)
    return pixel.round().astype(int), ((pixel.round() - nodes) ** 2).sum(-1)


@pytest.mark.parametrize("size", [(2, 2), (8, 8), (5, 11), (40, 30)])
@pytest.mark.parametrize("share", [0.002, 0.05, 0.9])
def test_nearest_boundary_against_brute_force(size, share):
    mask = np.random.default_rng(1).random((2, 23, 41)) < share
    mask[:, 3, 5] = True
    nearest = nearest_boundary(torch.from_numpy(mask), size)
    for found, one in zip(nearest, mask, strict=True):
        pixel, distance = squared_distances(found, size, one.shape)
        assert one[pixel[..., 0], pixel[..., 1]].all()
        np.testing.assert_array_equal(distance, slow_nearest_distances(one, size))


def test_nearest_boundary_against_the_distance_transform_of_a_large_mask():
    mask = semantic_boundaries(torch.from_numpy(blobs((1, 200, 460), 3)))
    mask &= torch.rand(mask.shape, generator=torch.Generator().manual_seed(0)) < 0.01
    size = (64, 50)
    _, distance = squared_distances(nearest_boundary(mask, size)[0], size, (200, 460))
    full = ndimage.distance_transform_edt(~mask[0].numpy())
    expected = full[_node_pixels(64, 200)][:, _node_pixels(50, 460)] ** 2
    np.testing.assert_array_equal(distance, expected.round())


def test_tensor_operations_for_a_gpu_find_the_same_distances():
    mask = torch.rand(3, 31, 27, generator=torch.Generator().manual_seed(0)) < 0.01
    mask[1] = False
    size = (9, 6)
    rows, cols = _node_pixels(9, 31), _node_pixels(6, 27)
    found = _nearest_pixels_torch(mask, rows, cols)
    assert (found[1] == -1).all()
    for n in (0, 2):
        nodes = np.stack(np.meshgrid(rows, cols, indexing="ij"), -1)
        distance = ((found[n].numpy() - nodes) ** 2).sum(-1)
        np.testing.assert_array_equal(distance, slow_nearest_distances(mask[n].numpy(), size))


@pytest.mark.parametrize("shape", [(11700, 6), (6, 11700), (11300, 290)])
def test_tensor_operations_for_a_gpu_find_pixels_of_masks_of_any_size(shape):
    # squares of 4 * (H + W), with which pixels are found that are nowhere, exceed 31 bits
    mask = torch.zeros(1, *shape, dtype=torch.bool)
    mask[0, -1, 2] = True
    found = _nearest_pixels_torch(mask, _node_pixels(2, shape[0]), _node_pixels(2, shape[1]))
    assert found.tolist() == [[[[shape[0] - 1, 2]] * 2] * 2]


def test_distance_is_measured_in_pixels_not_in_relative_units():
    mask = torch.zeros(1, 11, 101)
    mask[0, 10, 50] = 1  # 10 pixels below the middle of the top: 1.0 in relative units
    mask[0, 0, 35] = 1  # 15 pixels beside it: 0.15 in relative units
    assert nearest_boundary(mask, (2, 3))[0, 0, 1].tolist() == [1.0, 0.5]


def test_without_a_boundary_every_node_stays_in_place():
    mask = torch.zeros(3, 10, 12, dtype=torch.bool)
    mask[1, 4, 4] = True
    nearest = nearest_boundary(mask, (5, 4))
    assert torch.equal(nearest[0], uniform_sampling((5, 4))[0])
    assert torch.equal(nearest[2], uniform_sampling((5, 4))[0])
    torch.testing.assert_close(
        nearest[1], torch.tensor([4 / 9, 4 / 11]).expand(5, 4, 2), rtol=0, atol=1e-6
    )


def test_maps_and_density_are_area_averages():
    labels = blobs((1, 26, 35), 5)
    tensor = torch.from_numpy(labels)
    every = slow_area_average(slow_boundaries(labels, None, 255)[0], (8, 9))
    target = slow_area_average(slow_boundaries(labels, [2], 255)[0], (8, 9))
    maps = boundary_maps(tensor, (8, 9), [2])
    np.testing.assert_allclose(maps[0].numpy(), np.stack([target, every]), atol=1e-6)
    density = boundary_density(tensor, (8, 9), [2], all_weight=0.5)
    np.testing.assert_allclose(density[0].numpy(), target + 0.5 * every, atol=1e-6)
    np.testing.assert_allclose(boundary_density(tensor, (8, 9))[0].numpy(), every, atol=1e-6)


def test_pull_fades_with_distance():
    uniform = uniform_sampling((9, 9), 1, torch.float64)
    near, far = uniform + 0.01, uniform + torch.tensor([0.0, 0.6])
    torch.testing.assert_close(fade_pull(near), near, rtol=0, atol=1e-4)
    torch.testing.assert_close(fade_pull(far), uniform, rtol=0, atol=1e-4)
    at_distance = uniform + torch.tensor([0.12, 0.0])
    pulled = fade_pull(at_distance) - uniform
    torch.testing.assert_close(pulled[..., 0], torch.full((1, 9, 9), 0.12 * np.exp(-0.5)).double())
    assert torch.equal(fade_pull(uniform), uniform)
