"""Images decoded smaller are read where the full image would be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from frugalseg.data.class_lists.classes import ClassList, SegmentationClass
from frugalseg.data.layouts.samples import Sample
from frugalseg.models.fixed_samplers import UniformSampler
from frugalseg.sampling import reduced_sampling, sample, sample_pixels, uniform_sampling
from frugalseg.tasks.segment.crops import Augmentation, CachedImages, random_crop
from frugalseg.tasks.segment.model import FrugalModel, decode_scale

REDUCTIONS = (2, 4, 8)
CLASSES = ClassList(
    (SegmentationClass("dark", 0, (0, 0, 0), False), SegmentationClass("light", 1, (9, 9, 9), True))
)


class Brightness(nn.Module):
    """A perfect segmenter of dark and light."""

    extra_channels = 0

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor, geometry: Tensor | None) -> Tensor:
        return torch.cat([1 - image[:, :1], image[:, :1]], 1)


def block_means(line: np.ndarray, reduce: int) -> np.ndarray:
    return np.array([line[i : i + reduce].mean() for i in range(0, len(line), reduce)])


def read_line(line: np.ndarray, phi: Tensor) -> np.ndarray:
    """Read an image of equal rows, (n, n), at `phi`: the values along a row."""
    image = torch.from_numpy(line).expand(1, 1, len(line), -1)
    return sample(image, phi, antialias=True)[0, 0, phi.shape[1] // 2].numpy()


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("points", [16, 64])
@pytest.mark.parametrize("pixels_apart", [2, 3])
def test_a_ramp_is_read_exactly(reduce: int, points: int, pixels_apart: int) -> None:
    """Boxes of whole pixels have no rounding of their own."""
    width = pixels_apart * reduce * (points - 1) + 1
    ramp = np.arange(width, dtype=float)
    phi = uniform_sampling((points, points), dtype=torch.float64)
    read = read_line(block_means(ramp, reduce), reduced_sampling(phi, (width, width), reduce))
    # the boxes of the first and last samples are cut off by the border
    assert read[1:-1] == pytest.approx(ramp[:: pixels_apart * reduce][1:-1], abs=1e-8)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("width", [1001, 1024, 2710, 3384])
def test_moved_samples_of_any_size_are_read_in_their_place(width: int, reduce: int) -> None:
    """A box that ends inside pixels of `1 / n` of its width errs by up to `1 / 8n` of a pixel."""
    random = torch.Generator().manual_seed(0)
    line = torch.linspace(0, 1, 41, dtype=torch.float64)
    line[1:-1] += 0.2 / 40 * torch.randn(39, generator=random, dtype=torch.float64).clamp(-1, 1)
    phi = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)[None]
    full = np.arange(width, dtype=float)
    whole = read_line(full, phi)
    read = read_line(block_means(full, reduce), reduced_sampling(phi, (width, width), reduce))
    assert np.abs(read - whole)[:-2].max() <= max(reduce**2 / (8 * 0.6 * width / 40), reduce / 8)
    unmoved = read_line(block_means(full, reduce), phi)
    assert np.abs(unmoved - whole)[1] > 2 * np.abs(read - whole)[1]  # the fault that this mends


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_what_lies_behind_the_image_has_no_weight(reduce: int) -> None:
    """The last pixel of a reduced image covers a part of its place alone."""
    height = 16 * reduce + 1
    full = np.zeros((height, height, 1), np.uint8)
    full[-1] = 255
    small = np.zeros((17, 17, 1), np.uint8)
    small[-1] = 255
    phi = uniform_sampling((5, 5))[0]
    at = reduced_sampling(phi, (height, height), reduce)
    whole = sample_pixels(full, phi)[0, -1, 2].item()
    covered = (height / reduce, height / reduce)
    assert sample_pixels(small, at, covered)[0, -1, 2].item() == pytest.approx(whole, rel=1e-5)
    assert sample_pixels(small, at)[0, -1, 2].item() > 1.2 * whole


def model(points: int, oversample: int) -> FrugalModel:
    size = (points, points)
    return FrugalModel(UniformSampler(size), Brightness(), (8, 8), size, oversample=oversample)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(("oversample", "reduce"), [(2, 8), (4, 4), (8, 2)])
def test_a_file_and_its_array_agree(
    tmp_path: Path, suffix: str, oversample: int, reduce: int
) -> None:
    """Edges near the margins and in the middle come back in the same place."""
    width = 1027
    assert decode_scale((width, width), (60, 60), oversample) == reduce
    net = model(60, oversample)
    path = tmp_path / f"edge{suffix}"
    for edge in (70, 515, 962):
        pixels = np.zeros((width, width, 3), np.uint8)
        pixels[:, edge:] = 255
        Image.fromarray(pixels).save(path, **({"quality": 95} if suffix == ".jpg" else {}))
        places = [int((net.predict(image).labels[500] == 1).argmax()) for image in (path, pixels)]
        assert abs(places[0] - places[1]) <= 1


def test_training_reads_pixels_where_it_reads_labels(tmp_path: Path) -> None:
    """Crops and flips of an image whose brightness says how many labels lie to its left."""
    height, width = 259, 517
    ramp = np.round(np.linspace(0, 255, width)).astype(np.uint8)
    labels = np.broadcast_to(ramp // 2, (height, width))
    Image.fromarray(np.repeat(np.tile(ramp, (height, 1))[..., None], 3, 2)).save(tmp_path / "i.png")
    Image.fromarray(labels).save(tmp_path / "m.png")
    names = [SegmentationClass(f"c{i}", i, (i, i, 1), False) for i in range(128)]
    sample = Sample("i", tmp_path / "i.png", tmp_path / "m.png")
    store = CachedImages((sample,), ClassList(tuple(names)), (8, 8))
    assert store[0].labels.shape == (256, 516)
    assert store[0].pixels.shape == (64, 129, 3)
    random = np.random.default_rng(0)
    phi = uniform_sampling((9, 9))[0]
    for augmentation in (None, *[Augmentation(0.5, "both")] * 10):
        crop = random_crop(store[0], 0, (8, 8), augmentation, random)
        read = sample_pixels(crop.pixels, crop.reduced(phi))[0, 4, 1:-1] * 255
        columns = (phi[4, 1:-1, 1] * (crop.labels.shape[1] - 1)).round().long().numpy()
        assert np.abs(read.numpy() - 2 * crop.labels[0, columns] - 0.5).max() <= 2
