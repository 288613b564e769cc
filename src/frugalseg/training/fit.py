"""Run a task with Lightning so that it can be interrupted and goes on."""

import errno
import json
import logging
import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json_lines, write_whole
from frugalseg.training.checkpoints import WholeCheckpoints, read_checkpoint
from frugalseg.training.tasks import StepTask

_EXPECTED = (  # warnings about what is meant here
    ".*does not have many workers.*",  # batches are prepared in threads of our own
    ".*Checkpoint directory .* exists.*",
    ".*in eval mode at the start of training.*",  # a frozen sampler; the rest is set by the task
    ".*LeafSpec.*",  # Lightning's use of torch's internals
    ".*your dataloader is not resumable.*",  # our streams begin at the right step
    ".*dirpath has changed.*",  # the run was moved
)
CHECKPOINT_STEPS = 100
# Of Lightning's, those that leave the numbers of a batch as they are; and their short names.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_SHORT = ("32", "bf16", "16")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def is_main_process() -> bool:
    """Whether this is the process that writes files, of those that train together."""
    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def check_hardware(devices: int | str, nodes: int, precision: str) -> None:
    """Raise where Lightning will not train so, or the trainings here cannot.

    Raises:
        FrugalsegError: no such devices, number of machines or number format.
    """
    if precision not in PRECISIONS + _SHORT:
        raise FrugalsegError(
            f"No training is possible with precision={precision}: "
            f"choose among {', '.join(PRECISIONS)}."
        )
    _trainer(1, [], devices, nodes, precision)


def fit(
    task: StepTask,
    folder: Path,
    name: str,
    devices: int | str = "auto",
    nodes: int = 1,
    precision: str = "32-true",
    progress: bool = True,
) -> None:
    """Train a task for its number of steps; go on where an earlier call was interrupted.

    Args:
        task: what to train.
        folder: the run's folder; ``checkpoints/NAME`` and ``metrics.jsonl`` are written there.
        name: name of this training within the run.
        devices, nodes, precision: as Lightning takes them.
        progress: show a progress bar.

    Raises:
        FrugalsegError: the run's folder cannot be written, or an earlier call's checkpoint is
            damaged.
        KeyboardInterrupt: the training was interrupted.
    """
    last = folder / "checkpoints" / name / "last.ckpt"
    if last.is_file() and _is_done(task, last):
        return
    callbacks: list[Callback] = [
        ModelCheckpoint(
            last.parent,
            last.stem,
            every_n_train_steps=CHECKPOINT_STEPS,
            enable_version_counter=False,
        ),
        _Metrics(folder / "metrics.jsonl", name, task.steps),
    ]
    if progress and is_main_process():
        callbacks.append(_Bar(name, task.steps))
    strategy = task.strategy if _several(devices, nodes) else "auto"
    trainer = _trainer(task.steps, callbacks, devices, nodes, precision, strategy)
    with _expected_warnings(), _refusing_full_disks(folder):
        try:
            trainer.fit(task, ckpt_path=last if last.is_file() else None, weights_only=True)
            trainer.save_checkpoint(last)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C and of SIGTERM
            raise KeyboardInterrupt from stop


def _is_done(task: StepTask, last: Path) -> bool:
    """Whether a checkpoint is that of the last step; then the task has its weights."""
    checkpoint = read_checkpoint(last)
    done: bool = checkpoint["global_step"] >= task.steps
    if done:
        task.load_state_dict(checkpoint["state_dict"])
    return done


def _several(devices: int | str, nodes: int) -> bool:
    """Whether several processes train together."""
    count = torch.cuda.device_count() if devices in ("auto", "-1", -1) else devices
    return nodes > 1 or (isinstance(count, int) and count > 1)


def _trainer(
    steps: int,
    callbacks: list[Callback],
    devices: int | str,
    nodes: int,
    precision: str,
    strategy: str = "auto",
) -> lightning.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    try:
        return lightning.Trainer(
            accelerator="auto",
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=precision,  # type: ignore[arg-type]
            max_steps=steps,
            max_epochs=-1,
            callbacks=callbacks,
            plugins=[WholeCheckpoints()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=bool(callbacks),
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise FrugalsegError(
            f"This machine cannot train with devices={devices}, nodes={nodes}, "
            f"precision={precision} ({' '.join(str(error).split())})"
        ) from error


@contextmanager
def _expected_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in _EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        yield


@contextmanager
def _refusing_full_disks(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, FrugalsegError) as error:
        # Files written whole have a sentence already; here it is known how to go on.
        cause = error.__cause__ if isinstance(error, FrugalsegError) else error
        if not isinstance(cause, OSError) or cause.errno not in _NO_ROOM:
            raise
        raise FrugalsegError(
            f"{folder} cannot be written ({cause.strerror}). "
            "Make room there and give the same command again: the training goes on."
        ) from error


class _Metrics(Callback):
    """One line for each 100 steps: training, step, mean loss, seconds, and the task's measures."""

    def __init__(self, path: Path, name: str, steps: int):
        self.path, self.name, self.steps = path, name, steps

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self.total, self.count, self.since = 0.0, 0, time.perf_counter()
        if is_main_process() and self.path.exists():  # forget steps that will be done again
            lines = read_json_lines(self.path)
            kept = [
                line
                for line in lines
                if line["training"] != self.name or line["step"] <= trainer.global_step
            ]
            write_whole("".join(json.dumps(line) + "\n" for line in kept).encode(), self.path)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *rest: Any) -> None:
        self.total = self.total + outputs["loss"].detach()
        self.count += 1
        step = trainer.global_step
        if step % CHECKPOINT_STEPS and step < self.steps:
            return
        loss, now = float(self.total) / self.count, time.perf_counter()
        if not math.isfinite(loss):
            raise FrugalsegError(
                f"The training of the {self.name} has failed: its loss is {loss} after {step} "
                "steps. Begin again with a lower rate."
            )
        if is_main_process():
            line = {"training": self.name, "step": step, "steps": self.steps}
            line |= {"loss": round(loss, 6), "seconds": round(now - self.since, 2)}
            line |= module.measures()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        self.total, self.count, self.since = 0.0, 0, now


class _Bar(Callback):
    """A progress bar over all steps of a training, on standard error."""

    def __init__(self, name: str, steps: int):
        self.name, self.steps = name, steps

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        done = trainer.global_step
        self.bar = tqdm(
            desc=self.name, total=self.steps, initial=done, unit="step", file=sys.stderr
        )

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *rest: Any) -> None:
        self.bar.update()
        if self.bar.n % 20 == 0:
            self.bar.set_postfix(loss=f"{float(outputs['loss']):.3f}")

    def on_train_end(self, trainer: Any, module: Any) -> None:
        self.bar.close()

    def on_exception(self, trainer: Any, module: Any, exception: BaseException) -> None:
        if hasattr(self, "bar"):
            self.bar.close()
