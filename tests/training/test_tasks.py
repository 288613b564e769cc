from pathlib import Path
from typing import Any

import pytest
import torch

from frugalseg.data.folder import open_folder
from frugalseg.networks.samplers import SAMPLERS, build_sampler
from frugalseg.networks.segmenters import build_segmenter
from frugalseg.pipeline import FrugalModel
from frugalseg.sampling import interpolate
from frugalseg.training.examples import Batch, ImageStore, Steps, collate
from frugalseg.training.losses import segmentation_loss
from frugalseg.training.tasks import SegmentationTask

SIZE, VIEW = (8, 16), (16, 32)


@pytest.fixture(scope="module")
def stream(scenes: Path) -> Steps:
    dataset = open_folder(scenes)
    store = ImageStore(dataset.splits["train"], dataset.classes, SIZE)
    return Steps(store, VIEW, 2, 0, None)


@pytest.fixture(scope="module")
def batch(stream: Steps) -> Batch:
    return collate([stream.example(k) for k in range(2)])


def task(
    stream: Steps, sampler: str, lattice: tuple[int, int] | None, **options: Any
) -> SegmentationTask:
    torch.manual_seed(0)
    classes = stream.store.classes.num_classes
    segmenter = build_segmenter("unet-plain", classes, widths=(4, 8))
    model = FrugalModel(build_sampler(sampler, SIZE), segmenter, VIEW, SIZE).eval()
    loss = segmentation_loss("cross-entropy", [1 / classes] * classes)
    return SegmentationTask(model, loss, stream, 10, 1e-3, 0, lattice=lattice, **options)


def loss_of(one: SegmentationTask, batch: Batch) -> float:
    torch.manual_seed(1)  # of the colours
    with torch.no_grad():
        return one.training_step(batch, 0).item()


def test_pixels_that_are_the_samples_give_the_loss_at_the_samples(
    stream: Steps, batch: Batch
) -> None:
    at_samples = loss_of(task(stream, "uniform", None), batch)
    at_pixels = loss_of(task(stream, "uniform", SIZE), batch)
    assert at_pixels == pytest.approx(at_samples, rel=1e-5)


@pytest.mark.parametrize("sampler", [name for name, kind in SAMPLERS.items() if kind.learns])
def test_the_segmentation_loss_alone_teaches_the_sampler(
    sampler: str, stream: Steps, batch: Batch
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
    stream: Steps, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = task(stream, "density", batch.examples[0].labels.shape)
    monkeypatch.setattr("frugalseg.training.tasks.jitter_colours", lambda image: image)
    expected = []
    for example in batch.examples:
        whole = example.pixels.copy()
        answer = one.model.predict(whole)
        scores = interpolate(answer.scores[None], answer.phi[None], example.labels.shape)
        truth = torch.from_numpy(example.labels.copy()).long()[None]
        expected.append(torch.nn.functional.cross_entropy(scores, truth, ignore_index=255).item())
    assert loss_of(one, batch) == pytest.approx(sum(expected) / 2, rel=1e-3)
