import base64
import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.reports.images import (
    JPEG_SIDE,
    colour_labels,
    draw_samples,
    overlay,
    save_jpeg,
    shrink,
    to_data_uri,
)


def grid(height, width):
    rows, columns = np.linspace(0, 1, height), np.linspace(0, 1, width)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_labels_take_their_colours_and_ignored_pixels_grey():
    colours = np.array([[1, 2, 3], [40, 50, 60]], np.uint8)
    painted = colour_labels(np.array([[0, 1, 255]], np.uint8), colours)
    assert painted.tolist() == [[[1, 2, 3], [40, 50, 60], [128, 128, 128]]]


def test_overlay_mixes_and_leaves_ignored_pixels_alone():
    image = np.full((1, 2, 3), 100, np.uint8)
    colours = np.array([[200, 0, 100]], np.uint8)
    mixed = overlay(image, np.array([[0, 255]], np.uint8), colours, alpha=0.25)
    assert mixed.tolist() == [[[125, 75, 100], [100, 100, 100]]]


def test_overlay_of_a_large_image_needs_little_more_than_its_picture():
    numbers = np.random.default_rng(0)
    image = numbers.integers(0, 256, (2000, 2000, 3), np.uint8)
    labels = numbers.choice(np.array([0, 1, 2, 255], np.uint8), (2000, 2000))
    colours = numbers.integers(0, 256, (3, 3), np.uint8)
    tracemalloc.start()
    mixed = overlay(image, labels, colours, alpha=0.3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 6 * labels.size  # 3 of it the picture
    share = np.where(labels == 255, 0, 0.3)[..., None]
    slow = image * (1 - share) + colour_labels(labels, colours) * share
    assert np.abs(mixed - slow).max() <= 0.5 + 1e-9


def test_shrink_keeps_shape_and_classes():
    labels = np.zeros((100, 300), np.uint8)
    labels[:, 150:] = 7
    small = shrink(labels, 60, nearest=True)
    assert small.shape == (20, 60)
    assert set(np.unique(small)) == {0, 7}
    assert shrink(labels, 300) is labels


@pytest.mark.parametrize("shape", [(400, 800), (30, 60), (90, 60)])
@pytest.mark.parametrize("points", [3, 24])
def test_each_point_is_drawn_at_its_place(shape, points):
    image = np.full((*shape, 3), 200, np.uint8)
    picture = draw_samples(image, grid(points, points), side=480)
    assert max(picture.shape) == 480
    yellow = (picture[..., 0] > 200) & (picture[..., 2] < 90)
    places = grid(points, points) * (np.array(picture.shape[:2]) - 1)
    rows, columns = places.round().astype(int).reshape(-1, 2).T
    assert yellow[rows, columns].all()
    assert yellow.mean() < 0.35


def test_points_of_a_dense_spot_stay_apart():
    image = np.full((100, 100, 3), 200, np.uint8)
    phi = grid(20, 20)
    phi = 0.5 + (phi - 0.5) * np.abs(2 * phi - 1)  # the closer, the nearer to the middle
    picture = draw_samples(image, phi, side=960)
    middle = picture[380:580, 380:580]
    yellow = (middle[..., 0] > 200) & (middle[..., 2] < 90)
    assert 0.02 < yellow.mean() < 0.6


def test_png_is_exact_with_few_colours_and_with_many():
    rng = np.random.default_rng(0)
    many = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    few = rng.integers(0, 256, (19, 3), dtype=np.uint8)[rng.integers(0, 19, (40, 50))]
    close = np.array([[0, 0, 0], [0, 0, 1], [255, 0, 0], [254, 0, 0]], np.uint8)
    for picture in (many, few, close[rng.integers(0, 4, (9, 9))], many[..., 0]):
        uri = to_data_uri(picture, "png")
        assert uri.startswith("data:image/png;base64,")
        back = decoded(uri)
        mode = "L" if picture.ndim == 2 else "RGB"
        np.testing.assert_array_equal(np.asarray(back.convert(mode)), picture)
    assert decoded(to_data_uri(few, "png")).mode == "P"


def test_jpeg_is_near_and_other_formats_are_refused():
    smooth = np.dstack([np.add.outer(np.arange(64), np.arange(64))] * 3).astype(np.uint8)
    back = np.asarray(decoded(to_data_uri(smooth, "jpeg")))
    assert np.abs(back.astype(int) - smooth).mean() < 3
    with pytest.raises(ValueError, match="must be 'png' or 'jpeg'"):
        to_data_uri(smooth, "gif")


def test_a_picture_too_wide_for_jpeg_is_thinned(tmp_path: Path) -> None:
    wide = np.zeros((4, JPEG_SIDE + 2, 3), np.uint8)
    wide[:, JPEG_SIDE // 2 :] = 200
    save_jpeg(wide, tmp_path / "wide.jpg")
    with Image.open(tmp_path / "wide.jpg") as image:
        assert image.size == (JPEG_SIDE // 2 + 1, 2)
        halves = np.array(image)[0, [100, -100], 0]
    assert halves.tolist() == pytest.approx([0, 200], abs=3)
    save_jpeg(wide[:, :50], tmp_path / "small.jpg")
    with Image.open(tmp_path / "small.jpg") as image:
        assert image.size == (50, 4)
