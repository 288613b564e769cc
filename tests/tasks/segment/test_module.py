from pathlib import Path
from typing import Any

import pytest
import torch

from frugalseg.data.image_mask_folder import open_folder
from frugalseg.models import SAMPLERS
from frugalseg.models.samplers import build_sampler
from frugalseg.models.segmenters import build_segmenter
from frugalseg.sampling import interpolate
from frugalseg.tasks.segment.crops import Batch, CachedImages, StepDataset, collate
from frugalseg.tasks.segment.losses import cross_entropy
from frugalseg.tasks.segment.model import FrugalModel
from frugalseg.tasks.segment.module import SegmentationModule

SIZE, VIEW = (8, 16), (16, 32)


@pytest.fixture(scope="module")
def stream(scenes: Path) -> StepDataset:
    dataset = open_folder(scenes)
    store = CachedImages(dataset.splits["train"], dataset.classes, SIZE)
    return StepDataset(store, VIEW, 2, 0, None)


@pytest.fixture(scope="module")
def batch(stream: StepDataset) -> Batch:
    return collate([stream.crop(k) for k in range(2)])


def task(
    stream: StepDataset, sampler: str, lattice: tuple[int, int] | None, **options: Any
) -> SegmentationModule:
    torch.manual_seed(0)
    classes = stream.store.classes.num_classes
    segmenter = build_segmenter("unet-plain", classes, widths=(4, 8))
    model = FrugalModel(build_sampler(sampler, SIZE), segmenter, VIEW, SIZE).eval()
    loss = cross_entropy([1 / classes] * classes)
    return SegmentationModule(model, loss, stream, 10, 1e-3, 0, lattice=lattice, **options)


def loss_of(one: SegmentationModule, batch: Batch) -> float:
    torch.manual_seed(1)  # of the colours
    with torch.no_grad():
        return one.training_step(batch, 0).item()


def test_pixels_that_are_the_samples_give_the_loss_at_the_samples(
    stream: StepDataset, batch: Batch
) -> None:
    at_samples = loss_of(task(stream, "uniform", None), batch)
    at_pixels = loss_of(task(stream, "uniform", SIZE), batch)
    assert at_pixels == pytest.approx(at_samples, rel=1e-5)


@pytest.mark.parametrize("sampler", [name for name, kind in SAMPLERS.items() if kind.learns])
def test_the_segmentation_loss_alone_teaches_the_sampler(
    sampler: str, stream: StepDataset, batch: Batch
) -> None:
    one = task(stream, sampler, None, joint=True, loss_of_sampler=0.0)
    with torch.no_grad():  # heads of zeros would let nothing through
        for values in one.model.sampler.parameters():
            values += 0.05 * torch.randn(values.shape)
    one.training_step(batch, 0).backward()
    for name, values in one.model.sampler.named_parameters():
        assert values.grad is not None, name
        assert values.grad.isfinite().all(), name
        assert values.grad.any(), name


def test_the_loss_at_all_pixels_is_that_of_the_answer(
    stream: StepDataset, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = task(stream, "density", batch.crops[0].labels.shape)
    monkeypatch.setattr("frugalseg.tasks.segment.module.jitter_colours", lambda image: image)
    expected = []
    for crop in batch.crops:
        whole = crop.pixels.copy()
        answer = one.model.predict(whole)
        scores = interpolate(answer.scores[None], answer.phi[None], crop.labels.shape)
        truth = torch.from_numpy(crop.labels.copy()).long()[None]
        expected.append(torch.nn.functional.cross_entropy(scores, truth, ignore_index=255).item())
    assert loss_of(one, batch) == pytest.approx(sum(expected) / 2, rel=1e-3)
