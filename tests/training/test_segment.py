import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frugalseg.errors import FrugalsegError
from frugalseg.networks.samplers import list_samplers
from frugalseg.pipeline import Prediction
from frugalseg.runs import (
    SegmentConfig,
    build_model,
    load_run,
    open_run,
    write_state,
)
from frugalseg.training import fit, tasks
from frugalseg.training.segment import open_data, train_segmentation
from frugalseg.weights import save_weights
from tiny import TINY, Answer, cli


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint every 3 steps."""
    monkeypatch.setattr(fit, "CHECKPOINT_STEPS", 3)


def config(scenes: Path, **settings: Any) -> SegmentConfig:
    tiny: dict[str, Any] = {"size": (16, 32), "steps": 7, "sampler_steps": 7, "batch": 2}
    tiny |= {"segmenter": "unet-plain", "segmenter_options": {"widths": (4, 8)}}
    return SegmentConfig(**{"data": str(scenes), **tiny, **settings})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def stop_at(
    task: type[tasks.StepTask], step: int, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a training fail at the given step, as often as it comes there."""
    whole = task.training_step

    def until(self: tasks.StepTask, batch: Any, index: int) -> Any:
        if self.global_step == step:
            raise error
        return whole(self, batch, index)

    monkeypatch.setattr(task, "training_step", until)


@pytest.fixture(scope="module")
def uninterrupted(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained in one go. Not to be changed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    train_segmentation(config(scenes), run, progress=False)
    return run


def test_an_interrupted_training_ends_with_the_same_weights(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All samplers are there already; how one training goes on is tested with :mod:`fit`."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    train_segmentation(config(scenes, folds=2), whole, progress=False)
    with monkeypatch.context() as patch:
        stop_at(tasks.SegmentationTask, 4, RuntimeError("power cut"), patch)
        with pytest.raises(RuntimeError, match="power cut"):
            train_segmentation(config(scenes, folds=2), run, progress=False)
    with pytest.raises(FrugalsegError, match="is not finished"):
        load_run(run)
    torch.rand(7)  # another process would draw other numbers in between
    train_segmentation(config(scenes, folds=2), run, progress=False)
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
        stop_at(tasks.SegmentationTask, 3, KeyboardInterrupt(), patch)
        answer = segment()
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == (
        "frugalseg: interrupted; the same command goes on from here."
    )
    assert segment().code == 0


def test_a_run_that_was_moved_goes_on(
    scenes: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(tasks.SegmentationTask, 4, RuntimeError("power cut"), patch)
        with pytest.raises(RuntimeError, match="power cut"):
            train_segmentation(config(scenes), tmp_path / "a", progress=False)
    shutil.move(tmp_path / "a", tmp_path / "b")
    train_segmentation(config(scenes), tmp_path / "b", progress=False)
    assert same(weights(tmp_path / "b"), weights(uninterrupted))


def test_a_seed_decides_the_weights(scenes: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train_segmentation(config(scenes), tmp_path / "same", progress=False)
    assert same(weights(tmp_path / "same"), weights(uninterrupted))
    train_segmentation(config(scenes, seed=1), tmp_path / "other", progress=False)
    other = weights(tmp_path / "other")
    for part in ("sampler.", "segmenter."):
        names = [n for n in other if n.startswith(part) and n.endswith("weight")]
        assert not any(
            torch.equal(other[n], weights(uninterrupted)[n]) for n in names if "conv" in n
        )


def labels_again(folder: Path) -> Prediction:
    """What a run answers for an image, twice the same when loaded twice."""
    run = load_run(folder)
    sample = open_data(run.config).splits["test"][0]
    truth = np.zeros((128, 256), np.uint8)
    answer = run.model.predict(sample.image, truth, run.classes.targets)
    assert answer.labels.shape == (128, 256)
    assert answer.phi.shape == (16, 32, 2)
    assert torch.equal(answer.phi[:, 0, 1], torch.zeros(16))
    again = load_run(folder).model.predict(sample.image, truth, run.classes.targets)
    assert torch.equal(again.scores, answer.scores)
    return answer


@pytest.mark.parametrize("sampler", list_samplers())
def test_a_run_of_every_sampler_loads_and_labels(
    sampler: str, scenes: Path, tmp_path: Path
) -> None:
    settings = config(scenes, sampler=sampler)
    data = open_data(settings)
    open_run(tmp_path, settings, data.classes)
    model = build_model(settings, data.classes.num_classes, (24, 48)).eval()
    model.trust = 0.5
    with torch.no_grad():  # as if something had been learned
        for values in model.parameters():
            values += 0.02 * torch.randn(values.shape)
    save_weights(model, tmp_path)
    write_state(tmp_path, {"finished": True, "view": [24, 48], "trust": 0.5})
    truth = np.zeros((128, 256), np.uint8)
    before = model.predict(data.splits["test"][0].image, truth, data.classes.targets)
    assert torch.equal(labels_again(tmp_path).scores, before.scores)


def test_the_sampler_of_the_paper_trains_loads_and_labels(scenes: Path, tmp_path: Path) -> None:
    settings = config(scenes, sampler="direct", steps=2, sampler_steps=2)
    train_segmentation(settings, tmp_path, progress=False)
    labels_again(tmp_path)


def test_the_segmenter_learns_its_batch_statistics(uninterrupted: Path) -> None:
    found = weights(uninterrupted)  # the trust was chosen before, in evaluation mode
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
