import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frugalseg.data import masks
from frugalseg.data.class_lists.classes import write_classes
from frugalseg.data.image_file import open_image
from frugalseg.engine import trainer
from frugalseg.engine.module import StepModule
from frugalseg.engine.run_dir import RunDir, save_weights
from frugalseg.errors import FrugalsegError
from frugalseg.models import SAMPLERS
from frugalseg.tasks.base import train_only
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.model import Prediction, build_model, load_run
from frugalseg.tasks.segment.module import SegmentationModule
from tiny import TINY, Answer, cli


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every 3 steps."""
    monkeypatch.setattr(trainer, "CHECKPOINT_STEPS", 3)


def config(scenes: Path, **settings: Any) -> SegmentConfig:
    tiny: dict[str, Any] = {"size": (16, 32), "steps": 7, "sampler_steps": 7, "batch_size": 2}
    tiny |= {"segmenter": "unet-plain", "segmenter_options": {"widths": (4, 8)}}
    return SegmentConfig(**{"data": str(scenes), **tiny, **settings})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def stop_at(
    module: type[StepModule], step: int, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a training fail at the given step, as often as it comes there."""
    whole = module.training_step

    def until(self: StepModule, batch: Any, index: int) -> Any:
        if self.global_step == step:
            raise error
        return whole(self, batch, index)

    monkeypatch.setattr(module, "training_step", until)


@pytest.fixture(scope="module")
def uninterrupted(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained in one go. Not to be changed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train_only(config(scenes), run)
    return run


def test_an_interrupted_training_ends_with_the_same_weights(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All samplers are there already; how one training goes on is tested with :mod:`fit`."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train_only(config(scenes, folds=2), whole)
    with monkeypatch.context() as patch:
        stop_at(SegmentationModule, 4, RuntimeError("power cut"), patch)
        with pytest.raises(RuntimeError, match="power cut"):
            train_only(config(scenes, folds=2), run)
    with pytest.raises(FrugalsegError, match="is not finished"):
        load_run(run)
    torch.rand(7)  # another process would draw other numbers in between
    train_only(config(scenes, folds=2), run)
    assert same(weights(run), weights(whole))
    assert not (run / "checkpoints").exists()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    done = [line["step"] for line in lines if line["training"] == "segmenter"]
    assert done == [3, 6, 7]


def test_ctrl_c_says_how_to_go_on(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def segment() -> Answer:
        return cli("segment", scenes, "--run", tmp_path / "run", *TINY)

    with monkeypatch.context() as patch:
        stop_at(SegmentationModule, 3, KeyboardInterrupt(), patch)
        answer = segment()
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == (
        "frugalseg: interrupted; the same command goes on from here."
    )
    assert segment().code == 0


def test_training_masks_are_decoded_once_more_than_training_needs_at_most(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: Counter[Path] = Counter()

    def counted(path: Path) -> Any:
        counts[path] += 1
        return open_image(path)

    monkeypatch.setattr(masks, "open_image", counted)
    _, _, dataset = train_only(config(scenes), tmp_path / "run")
    of_train = [counts[sample.mask] for sample in dataset.splits["train"]]
    assert min(of_train) >= 1
    assert max(of_train) <= 2


def test_a_run_that_was_moved_goes_on(
    scenes: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(SegmentationModule, 4, RuntimeError("power cut"), patch)
        with pytest.raises(RuntimeError, match="power cut"):
            train_only(config(scenes), tmp_path / "a")
    shutil.move(tmp_path / "a", tmp_path / "b")
    train_only(config(scenes), tmp_path / "b")
    assert same(weights(tmp_path / "b"), weights(uninterrupted))


def test_a_seed_decides_the_weights(scenes: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train_only(config(scenes), tmp_path / "same")
    assert same(weights(tmp_path / "same"), weights(uninterrupted))
    train_only(config(scenes, seed=1), tmp_path / "other")
    other = weights(tmp_path / "other")
    for part in ("sampler.", "segmenter."):
        names = [n for n in other if n.startswith(part) and n.endswith("weight")]
        assert not any(
            torch.equal(other[n], weights(uninterrupted)[n]) for n in names if "conv" in n
        )


def labels_again(folder: Path) -> Prediction:
    """What a run answers for an image, twice the same when loaded twice."""
    run = load_run(folder)
    sample = open_data(run.asked).splits["test"][0]
    truth = np.zeros((128, 256), np.uint8)
    answer = run.model.predict(sample.image, truth, run.classes.targets)
    assert answer.labels.shape == (128, 256)
    assert answer.phi.shape == (16, 32, 2)
    assert torch.equal(answer.phi[:, 0, 1], torch.zeros(16))
    again = load_run(folder).model.predict(sample.image, truth, run.classes.targets)
    assert torch.equal(again.scores, answer.scores)
    return answer


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_a_run_of_every_sampler_loads_and_labels(
    sampler: str, scenes: Path, tmp_path: Path
) -> None:
    settings = config(scenes, sampler=sampler)
    data = open_data(settings)
    resolved = replace(settings, thumbnail=(24, 48), blend=0.5)
    model = build_model(resolved, data.classes.num_classes).eval()
    with torch.no_grad():  # as if something had been learned
        for values in model.parameters():
            values += 0.02 * torch.randn(values.shape)
    run = RunDir(tmp_path, settings)
    run.begin()
    write_classes(data.classes, run.path / "classes.csv")
    save_weights(model, run.weights)
    run.finish({"resolved": resolved.plain()})
    truth = np.zeros((128, 256), np.uint8)
    before = model.predict(data.splits["test"][0].image, truth, data.classes.targets)
    assert torch.equal(labels_again(tmp_path).scores, before.scores)


def test_the_sampler_of_the_paper_trains_loads_and_labels(scenes: Path, tmp_path: Path) -> None:
    settings = config(scenes, sampler="direct", steps=2, sampler_steps=2)
    train_only(settings, tmp_path)
    labels_again(tmp_path)


def test_the_segmenter_learns_its_batch_statistics(uninterrupted: Path) -> None:
    found = weights(uninterrupted)  # the blend was chosen before, in evaluation mode
    counts = {int(found[n]) for n in found if n.startswith("segmenter") and "num_batches" in n}
    assert counts == {7}
    sampler = {int(found[n]) for n in found if n.startswith("sampler") and "num_batches" in n}
    assert sampler == {7}


def test_what_is_held_out_is_not_trained_on(scenes: Path) -> None:
    settings = config(scenes, hold_out=0.34)
    splits = open_data(settings).splits
    assert len(splits["train"]) == 4
    assert len(splits["held"]) == 2
    assert not set(splits["train"]) & set(splits["held"])
    assert open_data(settings).splits == splits
