import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from frugalseg import console
from frugalseg.data.image_mask_folder import open_folder
from frugalseg.engine.config import PRECISIONS, TrainingConfig
from frugalseg.engine.run_dir import RunDir
from frugalseg.engine.trainer import check_hardware, fit
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.crops import CachedImages, StepDataset
from frugalseg.tasks.segment.module import AdamWModule, jitter_colours

CONFIG = TrainingConfig()


class Task(AdamWModule):
    """Learns one number; notes what it was given; may fail whenever it comes to a step."""

    def __init__(self, steps: int, scenes: Path, answer: float = 1.0, fails_at: int = -1):
        data = open_folder(scenes)
        store = CachedImages(data.splits["train"], data.classes, (4, 4))
        super().__init__(StepDataset(store, (4, 4), 2, 0, None), steps, 0.1, 0)
        self.number = nn.Parameter(torch.zeros(()))
        self.answer = answer
        self.fails_at = fails_at
        self.drawn: list[float] = []
        self.seen: list[list[int]] = []

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        if self.global_step == self.fails_at:
            raise RuntimeError("power cut")
        self.seen.append([crop.image for crop in batch.crops])
        self.drawn.append(torch.rand(()).item())
        return (self.number - self.answer) ** 2 + 0 * batch.thumbnail.sum()


def test_a_task_is_trained_for_its_steps(scenes: Path, tmp_path: Path) -> None:
    task = Task(30, scenes)
    fit(task, RunDir(tmp_path), "number", CONFIG)
    assert len(task.drawn) == 30
    assert len(set(task.drawn)) == 30
    assert task.number.item() == pytest.approx(1, abs=0.2)
    again = Task(30, scenes)
    fit(again, RunDir(tmp_path), "number", CONFIG)
    assert again.drawn == []
    assert again.number.item() == task.number.item()


# before the first checkpoint, in the middle, right after a checkpoint that is the last but one step
@pytest.mark.parametrize(("fails_at", "left"), [(2, 7), (4, 4), (6, 1)])
def test_an_interrupted_training_goes_on(
    fails_at: int, left: int, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frugalseg.engine.trainer.CHECKPOINT_STEPS", 3)
    for name in ("whole", "run"):
        (tmp_path / name).mkdir()
    whole, rest = Task(7, scenes), Task(7, scenes)
    fit(whole, RunDir(tmp_path / "whole"), "number", CONFIG)
    with pytest.raises(RuntimeError, match="power cut"):
        fit(Task(7, scenes, fails_at=fails_at), RunDir(tmp_path / "run"), "number", CONFIG)
    torch.rand(7)  # another process would draw other numbers in between
    fit(rest, RunDir(tmp_path / "run"), "number", CONFIG)
    assert rest.number.item() == whole.number.item()
    assert rest.drawn == whole.drawn[-left:]
    assert rest.seen == whole.seen[-left:]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 6, 7]


def test_a_loss_that_is_no_number_stops_the_training(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(
        FrugalsegError, match=r"number has failed: its loss is nan .* lower --learning-rate"
    ):
        fit(Task(3, scenes, float("nan")), RunDir(tmp_path), "number", CONFIG)


def test_a_disk_that_fills_up_leaves_what_the_training_needs_to_go_on(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frugalseg.engine.trainer.CHECKPOINT_STEPS", 2)
    whole, lost = Path.write_bytes, []

    def fill(path: Path, content: bytes) -> int:
        if "last.ckpt" not in path.name or not (path.parent / "last.ckpt").exists():
            return whole(path, content)
        lost.append(path)
        whole(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", fill)
        with pytest.raises(FrugalsegError, match=r"No space left .* the training goes on"):
            fit(Task(6, scenes), RunDir(tmp_path), "number", CONFIG)
    assert lost
    assert [path.name for path in (tmp_path / "checkpoints/number").iterdir()] == ["last.ckpt"]
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"training": "num')  # the disk was full in the middle of the line
    again = Task(6, scenes)
    fit(again, RunDir(tmp_path), "number", CONFIG)
    assert len(again.drawn) == 4
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6]


def test_a_damaged_checkpoint_is_named(scenes: Path, tmp_path: Path) -> None:
    fit(Task(2, scenes), RunDir(tmp_path), "number", CONFIG)
    last = tmp_path / "checkpoints/number/last.ckpt"
    content = last.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"text", bytes(len(content))):
        last.write_bytes(damaged)
        with pytest.raises(FrugalsegError, match=r"last\.ckpt cannot be read .* Remove it and"):
            fit(Task(2, scenes), RunDir(tmp_path), "number", CONFIG)
    last.unlink()
    fit(Task(2, scenes), RunDir(tmp_path), "number", CONFIG)


def test_progress_is_shown_on_standard_error(
    scenes: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "shows_progress", lambda: True)
    fit(Task(3, scenes), RunDir(tmp_path), "number", CONFIG)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "number" in shown.err
    assert "3/3" in shown.err


def test_hardware_that_is_not_there() -> None:
    for precision in PRECISIONS:
        if precision != "16-mixed":  # which Lightning replaces, with a warning, without a GPU
            check_hardware(TrainingConfig(devices="1", precision=precision))
    for precision in ("16-true", "bf16-true", "64-true", "half"):
        says = (
            f"precision='{precision}' is out of range: choose among 32-true, bf16-mixed, 16-mixed"
        )
        with pytest.raises(FrugalsegError, match=re.escape(says)):
            TrainingConfig(precision=precision).check()
    with pytest.raises(FrugalsegError, match="devices=many"):
        check_hardware(TrainingConfig(devices="many"))


def test_colours_are_jittered_image_by_image() -> None:
    image = torch.rand(1, 3, 8, 8).expand(4, 3, 8, 8)
    torch.manual_seed(0)
    jittered = jitter_colours(image)
    assert jittered.min() >= 0
    assert jittered.max() <= 1
    assert not torch.allclose(jittered[0], jittered[1])
    grey = jitter_colours(torch.full((1, 3, 8, 8), 0.5))
    assert torch.allclose(grey, grey[:, :1, :1, :1].expand_as(grey))
    assert torch.allclose(jitter_colours(image, 0.0), image, atol=1e-6)
