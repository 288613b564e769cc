import numpy as np
import torch

from frugalseg.tasks.discover.features import PixelStore


def test_pieces_are_cut_from_images_of_mixed_sizes() -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((9, 12), (20, 7), (4, 5))]
    labels = [rng.integers(0, 3, image.shape[:2], np.uint8) for image in images]
    sizes = [image.shape[:2] for image in images]
    store, bare = PixelStore(sizes, 3, True), PixelStore(sizes, 3)
    for i in (2, 0, 1):
        store.put(i, images[i], labels[i])
        bare.put(i, images[i])
    for row, image in zip(store.rows(), images, strict=True):
        np.testing.assert_array_equal(row, image.reshape(-1, 3))
    places = torch.tensor([0, 1, 2, 1])
    corners = store.corners(places, 6, torch.Generator().manual_seed(0))
    pieces, valid, known = store.cut(places, corners, 6)
    for k, (i, (y, x)) in enumerate(zip(places.tolist(), corners.tolist(), strict=True)):
        inside = images[i][y : y + 6, x : x + 6]
        padding = [(0, 6 - inside.shape[0]), (0, 6 - inside.shape[1])]
        expected = np.pad(inside, [*padding, (0, 0)], "edge")
        np.testing.assert_array_equal((pieces[k] * 255).round().permute(1, 2, 0), expected)
        there = np.pad(np.ones(inside.shape[:2], bool), padding)
        np.testing.assert_array_equal(valid[k], there)
        truth = np.pad(labels[i][y : y + 6, x : x + 6], padding, constant_values=255)
        np.testing.assert_array_equal(known[k], truth)
    assert bool((valid[0]).all())
    assert not bool(valid[2].all())
    assert bare.cut(places, corners, 6)[2].eq(255).all()
    assert store.to("cpu") is store
