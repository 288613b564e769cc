"""A run is a folder that holds everything needed to load it.

config.yaml          its task and all settings needed to train it again
classes.csv          of segmentations: the classes, in the order of the scores
state.json           choices made during training, and whether it has finished
weights.safetensors  the networks
metrics.jsonl        a line every 100 steps
environment.json     versions, hardware, date
results/*.json       evaluations
report.html          a page to look at
checkpoints/         of an unfinished training
"""

import os
import shutil
import typing
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from frugalseg.engine.config import TaskConfig, TrainingConfig
from frugalseg.engine.environment import environment, is_main_process
from frugalseg.errors import FrugalsegError
from frugalseg.files import (
    atomic_write,
    folder_name,
    read_json,
    read_json_lines,
    read_yaml,
    write_json,
    write_text,
)

if typing.TYPE_CHECKING:
    from torch import nn

FORMAT = 2
Config = TypeVar("Config", bound=TaskConfig)


@dataclass(frozen=True)
class RunDir:
    """The folder of a run of any task.

    Attributes:
        path: the folder; it need not exist yet.
    """

    path: Path

    def __init__(self, path: Path | str) -> None:
        object.__setattr__(self, "path", Path(path))

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The folder's own name, even if the path is "." or ends in ".."."""
        return folder_name(self.path)

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def settings(self) -> dict[str, Any]:
        """The contents of config.yaml, with "task".

        Raises:
            FrugalsegError: the folder is not a run, or was written by another version.
        """
        path = self.path / "config.yaml"
        if not self.path.is_dir():
            raise FrugalsegError(f"{self}: there is no such run.")
        if not path.is_file():
            raise FrugalsegError(f"{self} is no run: it has no config.yaml.")
        values = read_yaml(path)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise FrugalsegError(
                f"{path} was written by another version of frugalseg: train the run again."
            )
        return values

    @property
    def task(self) -> str:
        """The name of the run's task.

        Raises:
            FrugalsegError: the folder is not a run.
        """
        return str(self.settings().get("task"))

    def config(self, kind: type[Config]) -> Config:
        """The configuration of the run.

        Args:
            kind: the configuration's class.

        Raises:
            FrugalsegError: there is none, it is from another version or task, or a value is wrong.
        """
        values = self.settings()
        task = values.pop("task", None)
        path = self.path / "config.yaml"
        if task != kind.task:
            raise FrugalsegError(f"{self} is a run of '{task}', not of '{kind.task}'.")
        if "data" not in values:
            raise FrugalsegError(f"{path} names no data.")
        return kind.from_values(values, str(path))

    def state(self, needs: Set[str] = frozenset()) -> dict[str, Any]:
        """The contents of state.json.

        Args:
            needs: keys that it must hold, besides "finished".

        Raises:
            FrugalsegError: it is missing or damaged.
        """
        path = self.path / "state.json"
        state = read_json(path, "Train the run again.")
        if not isinstance(state, dict) or not needs | {"finished"} <= state.keys():
            raise FrugalsegError(f"{path} lacks what a run needs. Train it again.")
        return state

    def write_state(self, state: dict[str, Any]) -> None:
        """Write state.json atomically."""
        write_json(state, self.path / "state.json")

    def find(self, config: TaskConfig) -> dict[str, Any] | None:
        """Check that a run can begin or continue in this folder; changes nothing.

        Args:
            config: the configuration of the run, not resolved.

        Returns:
            The state of a run already in the folder; None if the folder is free.

        Raises:
            FrugalsegError: the folder holds something else, or cannot be written.
        """
        if (self.path / "config.yaml").exists():
            existing_config = self.config(type(config))
            if existing_config != config:
                raise FrugalsegError(
                    f"{self} holds a run with other settings "
                    f"({existing_config.differences(config)}). "
                    "Name another folder with --run, or remove this one."
                )
            return self.state() if (self.path / "state.json").exists() else {"finished": False}
        if self.path.is_dir() and any(self.path.iterdir()):
            raise FrugalsegError(
                f"{self} is not empty and is no run: name another folder with --run."
            )
        parents = (self.path, *self.path.absolute().parents)
        existing = next(parent for parent in parents if parent.exists())
        if not (existing.is_dir() and os.access(existing, os.W_OK)):
            what = "not writable" if existing.is_dir() else "a file"
            raise FrugalsegError(
                f"{self} cannot be made, {existing} is {what}: name another folder with --run."
            )
        return None

    def finished(
        self, kind: type[Config], needs: Set[str] = frozenset()
    ) -> tuple[Config, dict[str, Any]]:
        """Configuration and state of a finished run, before its networks are built.

        Args:
            kind: the class of its configuration.
            needs: keys that the state must hold. The data of "resolved" are those that config.yaml
                names now, since they may have been moved.

        Raises:
            FrugalsegError: the folder is incomplete or unfinished, or from another version.
        """
        config = self.config(kind)
        state = self.state(needs) if (self.path / "state.json").exists() else {}
        if state.get("finished") is not True or not self.weights.is_file():
            raise FrugalsegError(
                f"{self} is not finished: "
                f"give the same 'frugalseg {kind.task}' command again to go on."
            )
        resolved, data = state.get("resolved"), getattr(config, "data", "")
        if isinstance(resolved, dict) and data:
            resolved["data"] = data
        return config, state

    def finish(self, state: dict[str, Any]) -> None:
        """Write the state of a training that has ended, and remove its checkpoints."""
        self.write_state(state | {"finished": True})
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none if the training has not begun."""
        path = self.path / "metrics.jsonl"
        return read_json_lines(path) if path.is_file() else []

    def result_path(self, name: str) -> Path:
        """The file of a result of the run."""
        return self.path / "results" / f"{name}.json"


class NewRun(RunDir):
    """The folder of a run that is about to be trained, or whose training continues.

    Args:
        path: the folder.
        asked: the run's configuration, not resolved.
    """

    asked: TrainingConfig

    def __init__(self, path: Path | str, asked: TrainingConfig) -> None:
        super().__init__(path)
        object.__setattr__(self, "asked", asked)

    def begin(self) -> None:
        """Make the folder, or open an unfinished run of the same configuration.

        If several processes train together, only the main one writes.

        Raises:
            FrugalsegError: the folder holds something else, or cannot be written.
        """
        if not is_main_process():
            return
        new, existed = self.find(self.asked) is None, self.path.exists()
        try:
            if new:
                values = {"format": FORMAT, "task": self.asked.task, **self.asked.plain()}
                text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
                write_text(text, self.path / "config.yaml")
            details = {**environment(), "seed": self.asked.seed}
            write_json(details, self.path / "environment.json")
        except FrugalsegError:
            if new and not existed:  # leave nothing half-written
                shutil.rmtree(self.path, ignore_errors=True)
            raise


def save_weights(model: "nn.Module", path: Path) -> None:
    """Write a model's tensors to a safetensors file, atomically."""
    from safetensors.torch import save

    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    atomic_write(save(tensors), path)


def load_weights(model: "nn.Module", path: Path) -> None:
    """Fill a model with the tensors of a file.

    Raises:
        FrugalsegError: the file is damaged, or does not fit the model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(path.read_bytes())  # load_file fails on names that are not UTF-8
    except (SafetensorError, ValueError) as error:
        said = " ".join(str(error).split())
        raise FrugalsegError(
            f"{path} is not a whole safetensors file ({said}). Train the run again."
        ) from error
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise FrugalsegError(
            f"{path} does not fit the run's config.yaml: were they written by one training? "
            f"({str(error).splitlines()[1].strip()})"
        ) from error
