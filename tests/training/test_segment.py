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
from frugalseg.runs import SegmentConfig, load_run
from frugalseg.training import fit, tasks
from frugalseg.training.segment import open_data, train_segmentation
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
    """A run that was trained in one go."""
    run = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "CHECKPOINT_STEPS", 3)
        train_segmentation(config(scenes, folds=2), run, progress=False)
    return run


# before the first checkpoint, in the middle, right after a checkpoint, at the last step
@pytest.mark.parametrize("step", [2, 4, 6])
@pytest.mark.parametrize("task", [tasks.SamplerTask, tasks.SegmentationTask])
def test_an_interrupted_training_ends_with_the_same_weights(
    task: type[tasks.StepTask],
    step: int,
    scenes: Path,
    uninterrupted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(task, step, RuntimeError("power cut"), patch)
        with pytest.raises(RuntimeError, match="power cut"):
            train_segmentation(config(scenes, folds=2), run, progress=False)
    with pytest.raises(FrugalsegError, match="is not finished"):
        load_run(run)
    torch.rand(7)  # another process would draw other numbers in between
    train_segmentation(config(scenes, folds=2), run, progress=False)
    assert same(weights(run), weights(uninterrupted))
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
            train_segmentation(config(scenes, folds=2), tmp_path / "a", progress=False)
    shutil.move(tmp_path / "a", tmp_path / "b")
    train_segmentation(config(scenes, folds=2), tmp_path / "b", progress=False)
    assert same(weights(tmp_path / "b"), weights(uninterrupted))


def test_a_seed_decides_the_weights(scenes: Path, uninterrupted: Path, tmp_path: Path) -> None:
    train_segmentation(config(scenes, folds=2), tmp_path / "same", progress=False)
    assert same(weights(tmp_path / "same"), weights(uninterrupted))
    train_segmentation(config(scenes, folds=2, seed=1), tmp_path / "other", progress=False)
    other = weights(tmp_path / "other")
    for part in ("sampler.", "segmenter."):
        names = [n for n in other if n.startswith(part) and n.endswith("weight")]
        assert not any(
            torch.equal(other[n], weights(uninterrupted)[n]) for n in names if "conv" in n
        )


@pytest.mark.parametrize("sampler", list_samplers())
def test_every_sampler_trains_loads_and_labels(sampler: str, scenes: Path, tmp_path: Path) -> None:
    settings = config(scenes, sampler=sampler, steps=2, sampler_steps=2)
    train_segmentation(settings, tmp_path, progress=False)
    run = load_run(tmp_path)
    sample = open_data(settings).splits["test"][0]
    truth = np.zeros((128, 256), np.uint8)
    answer = run.model.predict(sample.image, truth, run.classes.targets)
    assert answer.labels.shape == (128, 256)
    assert answer.phi.shape == (16, 32, 2)
    assert torch.equal(answer.phi[:, 0, 1], torch.zeros(16))
    again = load_run(tmp_path).model.predict(sample.image, truth, run.classes.targets)
    assert torch.equal(again.scores, answer.scores)


@pytest.mark.parametrize("sampler", ["density", "direct", "boundary", "saliency"])
def test_joint_training_moves_the_sampler(sampler: str, scenes: Path, tmp_path: Path) -> None:
    settings = {"sampler": sampler, "steps": 2, "sampler_steps": 1, "trust": 1.0}
    train_segmentation(config(scenes, **settings), tmp_path / "frozen", progress=False)
    train_segmentation(config(scenes, **settings, joint=True), tmp_path / "joint", progress=False)
    frozen, joint = weights(tmp_path / "frozen"), weights(tmp_path / "joint")
    moved = [n for n in frozen if n.startswith("sampler.") and not torch.equal(frozen[n], joint[n])]
    assert moved


def test_the_segmenter_learns_its_batch_statistics(scenes: Path, tmp_path: Path) -> None:
    train_segmentation(config(scenes), tmp_path, progress=False)  # chooses the trust before
    found = weights(tmp_path)
    counts = {int(found[n]) for n in found if n.startswith("segmenter") and "num_batches" in n}
    assert counts == {7}
    sampler = {int(found[n]) for n in found if n.startswith("sampler") and "num_batches" in n}
    assert sampler == {7}


def test_without_val_nothing_is_chosen_or_scored(scenes: Path, tmp_path: Path) -> None:
    settings = config(scenes, hold_out=0.34)
    splits = open_data(settings).splits
    assert len(splits["train"]) == 4
    assert len(splits["held"]) == 2
    assert not set(splits["train"]) & set(splits["held"])
    assert open_data(settings).splits == splits
