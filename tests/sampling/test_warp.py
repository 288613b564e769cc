import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from frugalseg.sampling import (
    area_average,
    equal_density_sampling,
    footprint,
    sample,
    sample_labels,
    sample_pixels,
    to_grid_sample,
    uniform_sampling,
)
from frugalseg.sampling.warp import _box_means
from reference.warp import overlap, slow_antialias, slow_footprint


def random_image(shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_pixels(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def warped(size, batch=1, seed=0, dtype=torch.float64):
    """Covering samplings with cells of very different sizes."""
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(batch, 12, 12, generator=generator, dtype=dtype) ** 6
    return equal_density_sampling(density, size, share=0.8, blur=0.7)


# ---- points


def test_to_grid_sample_has_x_first_and_runs_from_minus_one():
    phi = torch.tensor([[0.0, 0.25], [1.0, 0.5]])
    assert to_grid_sample(phi).tolist() == [[-0.5, -1.0], [0.0, 1.0]]


def test_bilinear_against_scipy():
    image, phi = random_image((2, 3, 9, 13)), warped((6, 5), batch=2)
    found = sample(image, phi)
    for n in range(2):
        place = (phi[n] * torch.tensor([8.0, 12.0])).permute(2, 0, 1).numpy()
        for c in range(3):
            expected = map_coordinates(image[n, c].numpy(), place, order=1, mode="nearest")
            np.testing.assert_allclose(found[n, c], expected, atol=1e-12)


def test_nearest_rounds_halves_upwards():
    image = torch.arange(12).reshape(1, 3, 4)
    phi = torch.tensor([[[[0.25, 0.5], [0.24, 0.49]], [[0.75, 1.0], [1.0, 1 / 6]]]])
    assert sample(image, phi, "nearest").tolist() == [[[6, 1], [11, 9]]]
    assert sample(image[:, None], phi, "nearest").tolist() == [[[[6, 1], [11, 9]]]]


@settings(max_examples=20, deadline=None)
@given(h=st.integers(1, 30), w=st.integers(1, 30), seed=st.integers(0, 1000))
def test_nearest_labels_from_arrays_and_tensors(h, w, seed):
    labels = random_pixels((h, w), seed)
    phi = torch.rand(1, 7, 6, 2, generator=torch.Generator().manual_seed(seed))
    expected = sample(torch.from_numpy(labels)[None].long(), phi, "nearest")[0]
    assert torch.equal(sample_labels(labels, phi[0]), expected)
    rows = np.floor(phi[0, ..., 0].numpy().astype(float) * (h - 1) + 0.5).astype(int)
    cols = np.floor(phi[0, ..., 1].numpy().astype(float) * (w - 1) + 0.5).astype(int)
    agree = (sample_labels(labels, phi[0]).numpy() == labels[rows, cols]).mean()
    assert agree > 0.95  # float32 may round a half the other way


def test_nearest_keeps_labels_and_type():
    labels = torch.tensor([[[0, 255], [7, 3]]], dtype=torch.uint8)
    read = sample(labels, uniform_sampling((5, 5)), "nearest")
    assert read.dtype == torch.uint8
    assert set(read.flatten().tolist()) == {0, 255, 7, 3}


# ---- footprints


@pytest.mark.parametrize("shape", [(40, 90), (6, 7)])
def test_footprint_against_the_definition(shape):
    phi = warped((7, 9))
    np.testing.assert_allclose(
        footprint(phi, shape)[0], slow_footprint(phi[0].numpy(), shape), atol=1e-9
    )


@pytest.mark.parametrize("shape", [(60, 47), (33, 80), (9, 8), (1, 20)])
@pytest.mark.parametrize("size", [(7, 9), (2, 2)])
def test_antialias_against_pixel_overlaps(shape, size):
    image, phi = random_image((1, 2, *shape)), warped(size)
    expected = slow_antialias(image[0].numpy(), phi[0].numpy())
    np.testing.assert_allclose(sample(image, phi, antialias=True)[0], expected, atol=1e-12)
    np.testing.assert_allclose(_box_means(image, phi)[0], expected, atol=1e-9)


def test_kernel_and_summed_table_agree_in_single_precision():
    image = random_image((2, 3, 200, 300), dtype=torch.float32)
    phi = warped((16, 24), batch=2, dtype=torch.float32)
    torch.testing.assert_close(
        sample(image, phi, antialias=True), _box_means(image, phi), atol=2e-5, rtol=0
    )


def test_antialias_is_bilinear_where_samples_are_dense():
    image, phi = random_image((1, 3, 11, 17)), warped((40, 50))
    assert footprint(phi, (11, 17)).max() > 1  # some cells are wider than a pixel
    phi = uniform_sampling((40, 50), dtype=torch.float64)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    expected = sample(image, phi)
    # a box of one pixel, moved: the overlaps with two pixels a side are the bilinear weights
    torch.testing.assert_close(
        sample(image, phi, antialias=True)[inner], expected[inner], atol=1e-12, rtol=0
    )


def test_constant_images_stay_constant():
    phi = warped((8, 9))
    for antialias in (False, True):
        out = sample(torch.full((1, 2, 50, 70), 0.3, dtype=torch.float64), phi, antialias=antialias)
        torch.testing.assert_close(out, torch.full_like(out, 0.3), atol=1e-12, rtol=0)
    out = sample_pixels(np.full((50, 70, 3), 77, np.uint8), phi[0])
    torch.testing.assert_close(out, torch.full_like(out, 77 / 255), atol=1e-6, rtol=0)


def test_gradients_of_reading():
    image = random_image((1, 2, 9, 11)).requires_grad_()
    phi = (warped((3, 4)) * 0.96 + 0.021).detach().requires_grad_()
    for antialias in (False, True):

        def read(image, phi, antialias=antialias):
            return sample(image, phi, antialias=antialias)

        assert torch.autograd.gradcheck(read, (image, phi), eps=1e-7, atol=1e-4)


def test_labels_are_read_from_integers_bilinearly_as_floats():
    image = torch.tensor([[[[0, 10], [20, 30]]]], dtype=torch.uint8)
    phi = torch.tensor([[[[0.5, 0.5], [0.0, 0.5]], [[1.0, 0.5], [0.5, 0.0]]]])
    assert sample(image, phi).flatten().tolist() == [15, 5, 25, 10]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"mode": "cubic"}, "mode"),
        ({"mode": "nearest", "antialias": True}, "antialias"),
        ({"image": torch.zeros(1, 4, 4)}, "nearest"),
        ({"image": torch.zeros(2, 3, 4, 4)}, "N"),
        ({"phi": torch.zeros(1, 4, 4, 3)}, "sampling"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, problem):
    usual = {"image": torch.zeros(1, 3, 4, 4), "phi": uniform_sampling((3, 3))}
    with pytest.raises(ValueError, match=problem):
        sample(**{**usual, **arguments})


# ---- straight from pixels

VIEWS = {
    "whole": lambda p: p,
    "crop": lambda p: p[5:45, 3:60],
    "upside down": lambda p: p[::-1],
    "mirrored": lambda p: p[:, ::-1],
    "mirrored crop": lambda p: p[4:44, 7:61][::-1, ::-1],
    "every second": lambda p: p[::2, ::3],
    "channels exchanged": lambda p: p[..., ::-1],
    "transposed": lambda p: p.transpose(1, 0, 2),
    "one channel": lambda p: p[..., 1:2],
    "two channels": lambda p: p[..., :2],
    "one row": lambda p: p[6:7],
    "one column": lambda p: p[:, 6:7],
    "last corner": lambda p: p[-9:, -8:],
}


@pytest.mark.parametrize("name", VIEWS)
def test_pixels_of_any_strides(name):
    pixels = VIEWS[name](random_pixels((51, 70, 3)))
    phi = warped((7, 8))[0]
    image = np.ascontiguousarray(pixels).transpose(2, 0, 1) / 255
    before = pixels.copy()
    np.testing.assert_allclose(
        sample_pixels(pixels, phi), slow_antialias(image, phi.numpy()), atol=1e-6
    )
    assert (pixels == before).all()


def test_read_only_pixels():
    pixels = random_pixels((20, 30, 3))
    pixels.flags.writeable = False
    assert sample_pixels(pixels, warped((4, 5))[0]).shape == (3, 4, 5)


def test_flipping_the_pixels_flips_the_samples():
    pixels, phi = random_pixels((64, 96, 3)), uniform_sampling((16, 24))[0]
    read = sample_pixels(pixels, phi)
    torch.testing.assert_close(sample_pixels(pixels[:, ::-1], phi), read.flip(2), atol=1e-6, rtol=0)


def test_threads_change_nothing():
    pixels, phi = random_pixels((120, 90, 3)), warped((40, 30))[0]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = sample_pixels(pixels, phi)
        torch.set_num_threads(3)
        assert torch.equal(sample_pixels(pixels, phi), one)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("shape", "size"), [((24, 36), (6, 9)), ((24, 36), (24, 36)), ((8, 6), (1, 2))]
)
def test_area_average_is_pooling_where_it_divides(shape, size):
    pixels = random_pixels((*shape, 3))
    image = torch.from_numpy(pixels).permute(2, 0, 1).double() / 255
    expected = F.adaptive_avg_pool2d(image, size).float()
    torch.testing.assert_close(area_average(pixels, size), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(7, 11), (3, 25), (20, 30)])
def test_area_average_against_pixel_overlaps(size):
    pixels = random_pixels((13, 25, 2))
    rows = [
        [overlap(p, i * 13 / size[0] - 0.5, (i + 1) * 13 / size[0] - 0.5) for p in range(13)]
        for i in range(size[0])
    ]
    cols = [
        [overlap(p, j * 25 / size[1] - 0.5, (j + 1) * 25 / size[1] - 0.5) for p in range(25)]
        for j in range(size[1])
    ]
    rows, cols = np.array(rows), np.array(cols)
    expected = np.einsum("ip,jq,pqc->cij", rows, cols, pixels / 255)
    expected /= rows.sum(1)[:, None] * cols.sum(1)
    np.testing.assert_allclose(area_average(pixels, size), expected, atol=1e-6)
