"""Train a module with Lightning so that it can be interrupted and resumed."""

import errno
import io
import json
import logging
import math
import os
import pickle
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from frugalseg import console
from frugalseg.engine._lightning import (
    Callback,
    MisconfigurationException,
    ModelCheckpoint,
    TorchCheckpointIO,
    lightning,
)
from frugalseg.engine.config import TrainingConfig
from frugalseg.engine.environment import hardware, is_main_process
from frugalseg.engine.module import StepModule
from frugalseg.engine.run_dir import BEGIN_AGAIN, RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_write, read_json_lines, write_text

_EXPECTED_WARNINGS = (  # about things that are intended here
    ".*does not have many workers.*",  # batches are prepared in our own threads
    ".*Checkpoint directory .* exists.*",
    ".*in eval mode at the start of training.*",  # a frozen sampler
    ".*LeafSpec.*",  # Lightning's use of torch's internals
    ".*your dataloader is not resumable.*",  # our streams begin at the right step
    ".*dirpath has changed.*",  # the run was moved
)
CHECKPOINT_STEPS = 100
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)


def check_hardware(config: TrainingConfig) -> None:
    """Refuse hardware that this machine does not have.

    Raises:
        FrugalsegError: there are no such devices, or not so many machines, or the number format is
            not supported.
    """
    devices, cores = hardware(config)[0], os.cpu_count() or 1
    if isinstance(devices, int) and devices > cores and not torch.cuda.is_available():
        raise FrugalsegError(
            f"devices={devices} are more processes than this machine has cores ({cores})."
        )
    _trainer(1, [], config)


def fit(module: StepModule, run: RunDir, name: str, config: TrainingConfig) -> None:
    """Train a module for its number of steps; resume an earlier call that was interrupted.

    Args:
        module: the module to train.
        run: its folder gets ``checkpoints/NAME`` and ``metrics.jsonl``.
        name: name of this training within the run.
        config: names the hardware.

    Raises:
        FrugalsegError: the run's folder cannot be written, or an earlier call's checkpoint is
            damaged.
        KeyboardInterrupt: the training was interrupted.
    """
    last = run.checkpoints / name / "last.ckpt"
    if last.is_file():
        checkpoint = read_checkpoint(last)
        if checkpoint["global_step"] >= module.steps:
            module.load_state_dict(checkpoint["state_dict"])
            return
    callbacks: list[Callback] = [
        ModelCheckpoint(
            last.parent,
            last.stem,
            every_n_train_steps=CHECKPOINT_STEPS,
            enable_version_counter=False,
        ),
        _Metrics(run.path / "metrics.jsonl", name, module.steps),
    ]
    if console.shows_progress() and is_main_process():
        callbacks.append(_Bar(name, module.steps))
    strategy = module.strategy if _several(config) else "auto"
    trainer = _trainer(module.steps, callbacks, config, strategy)
    with warnings.catch_warnings(), _refusing_full_disks(run.path):
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            trainer.fit(module, ckpt_path=last if last.is_file() else None, weights_only=True)
            trainer.save_checkpoint(last)
        except SystemExit as stop:  # Lightning turns Ctrl-C and SIGTERM into this
            raise KeyboardInterrupt from stop


def _several(config: TrainingConfig) -> bool:
    """Whether several processes train together."""
    devices, nodes, _ = hardware(config)
    count = torch.cuda.device_count() if devices in ("auto", "-1", -1) else devices
    return nodes > 1 or (isinstance(count, int) and count > 1)


def _trainer(
    steps: int, callbacks: list[Callback], config: TrainingConfig, strategy: str = "auto"
) -> lightning.Trainer:
    devices, nodes, precision = hardware(config)
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
def _refusing_full_disks(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, FrugalsegError) as error:
        # An error of atomic_write is a sentence already; here we also know how to resume.
        cause = error.__cause__ if isinstance(error, FrugalsegError) else error
        if not isinstance(cause, OSError) or cause.errno not in _NO_ROOM:
            raise
        raise FrugalsegError(
            f"{folder} cannot be written ({cause.strerror}). "
            "Make room there and give the same command again: the training goes on."
        ) from error


class _Metrics(Callback):
    """Writes a line every 100 steps: training, step, mean loss, seconds, the task's measures."""

    def __init__(self, path: Path, name: str, steps: int):
        self.path, self.name, self.steps = path, name, steps

    def on_train_start(self, trainer: lightning.Trainer, module: Any) -> None:
        self.total, self.count, self.since = 0.0, 0, time.perf_counter()
        if is_main_process() and self.path.exists():  # drop steps that will be repeated
            kept = [
                line
                for line in read_json_lines(self.path)
                if line["training"] != self.name or line["step"] <= trainer.global_step
            ]
            write_text("".join(json.dumps(line) + "\n" for line in kept), self.path)

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
                f"steps. {BEGIN_AGAIN}"
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


# What torch raises for half a file, an empty one, and a file of another kind.
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError),
    pickle.UnpicklingError,
)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint beside the old one, then replaces it.

    Lightning writes into the temporary folder of the system. If that is another file system, a full
    disk or a killed process leaves half a checkpoint in place of a good one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; if that fails, the older one stays as it was."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        atomic_write(content.getbuffer(), path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a training, its tensors on the CPU.

    Raises:
        FrugalsegError: the file is damaged or is not a checkpoint.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        content["global_step"] = int(content["global_step"])
    except _UNREADABLE as error:
        raise FrugalsegError(
            f"{path} cannot be read ({type(error).__name__}): it holds how far the training came. "
            "Remove it and give the same command again: this training then begins anew."
        ) from error
    return content
