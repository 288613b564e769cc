"""A run is a folder that holds everything needed to load it.

config.yaml          its task and all settings needed to train it again
classes.csv          of segmentations: the classes, in the order of the scores
state.json           choices made during training, and whether it has finished; sealed: it holds
                     checksums of itself and of the weights, and the settings of config.yaml
weights.safetensors  the networks
metrics.jsonl        a line every 100 steps
environment.json     versions, hardware, date
results/*.json       evaluations
report.html          a page to look at
checkpoints/         of an unfinished training, with data.json, the fingerprint of its data
"""

import dataclasses
import hashlib
import json
import os
import shutil
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from frugalseg.data.fingerprints import AnyData, difference, fingerprint
from frugalseg.engine.config import TrainingConfig
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
    from torch import Tensor, nn

FORMAT = 3
BEGIN_AGAIN = (
    "Begin again, in another folder, with a lower --learning-rate or with --precision 32-true."
)
Config = TypeVar("Config", bound=TrainingConfig)


@dataclass(frozen=True)
class RunDir:
    """The folder of a run of any task.

    Args:
        path: the folder; it need not exist yet.
        asked: the configuration of a run that is to be trained, not resolved.
        data: the data that it names.
    """

    path: Path
    asked: TrainingConfig | None
    data: AnyData | None

    def __init__(
        self,
        path: Path | str,
        asked: TrainingConfig | None = None,
        data: AnyData | None = None,
    ) -> None:
        for name, value in (("path", Path(path)), ("asked", asked), ("data", data)):
            object.__setattr__(self, name, value)

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

    @property
    def _fingerprint(self) -> Path:
        return self.checkpoints / "data.json"

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

    def state(self) -> dict[str, Any]:
        """The contents of state.json.

        Raises:
            FrugalsegError: it is missing, damaged, or not as it was written.
        """
        return _read_sealed(self.path / "state.json", "Put it back as it was, or train again.")

    def write_state(self, state: dict[str, Any]) -> None:
        """Write state.json atomically.

        Raises:
            FrugalsegError: a number is not finite, or the file cannot be written.
        """
        try:
            _write_sealed(state, self.path / "state.json")
        except ValueError as error:
            raise FrugalsegError(
                f"{self}: the training has failed, its results are not finite. {BEGIN_AGAIN}"
            ) from error

    def find(self) -> dict[str, Any] | None:
        """Check that the run can begin or continue in this folder; changes nothing.

        Returns:
            The state of a run already in the folder; None if the folder is free.

        Raises:
            FrugalsegError: the folder holds something else, such as a run with other settings or
                an unfinished one of other data, or cannot be written.
        """
        assert self.asked is not None
        if (self.path / "config.yaml").exists():
            existing_config = self.config(type(self.asked))
            if existing_config != self.asked:
                raise FrugalsegError(
                    f"{self} holds a run with other settings "
                    f"({existing_config.differences(self.asked)}). "
                    "Name another folder with --run, or remove this one."
                )
            if (self.path / "state.json").exists():
                return self.state()
            self._check_data()
            return {"finished": False}
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

    def _check_data(self) -> None:
        """Refuse to continue a training whose data have changed since it began."""
        if self.data is None or not self._fingerprint.exists():
            return
        begun = _read_sealed(self._fingerprint, "Name another folder with --run.")
        changed = difference(begun, fingerprint(self.data))
        if changed is not None:
            raise FrugalsegError(
                f"{self} was begun with {changed}: name another folder with --run, or put the "
                "data back as they were."
            )

    def begin(self) -> None:
        """Make the folder, or open an unfinished run of the same configuration and data.

        If several processes train together, only the main one writes.

        Raises:
            FrugalsegError: as of :meth:`find`.
        """
        if not is_main_process():
            return
        assert self.asked is not None
        new, existed = self.find() is None, self.path.exists()
        try:
            if new:
                values = {"format": FORMAT, "task": self.asked.task, **self.asked.plain()}
                text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
                write_text(text, self.path / "config.yaml")
            if self.data is not None and not self._fingerprint.exists():
                _write_sealed(fingerprint(self.data), self._fingerprint)
            details = {**environment(), "seed": self.asked.seed}
            write_json(details, self.path / "environment.json")
        except FrugalsegError:
            if new and not existed:  # leave nothing half-written
                shutil.rmtree(self.path, ignore_errors=True)
            raise

    def finished(self, kind: type[Config]) -> tuple[Config, dict[str, Any]]:
        """Configuration and state of a finished run, before its networks are built.

        Args:
            kind: the class of its configuration. The data of "resolved" are those that config.yaml
                names now, since they may have been moved.

        Raises:
            FrugalsegError: the folder is incomplete or unfinished, or from another version, or a
                setting is not that of the training.
        """
        config = self.config(kind)
        state = self.state() if (self.path / "state.json").exists() else {}
        if state.get("finished") is not True or not self.weights.is_file():
            raise FrugalsegError(
                f"{self} is not finished: "
                f"give the same 'frugalseg {kind.task}' command again to go on."
            )
        trained = kind.from_values(state["asked"], str(self.path / "state.json"))
        here = {name: getattr(config, name) for name in kind.places()}
        trained = dataclasses.replace(trained, **here)
        if trained != config:
            raise FrugalsegError(
                f"{self.path / 'config.yaml'} has been changed since the training "
                f"({trained.differences(config, ('then', 'now'))}): put it back as it was, or "
                "train another run."
            )
        data = getattr(config, "data", "")
        if data:
            state["resolved"]["data"] = data
        return config, state

    def finish(self, state: dict[str, Any]) -> None:
        """Write the state of a training that has ended, and remove its checkpoints.

        Args:
            state: "resolved", the resolved settings, and what else the task needs. The weights are
                written already.

        Raises:
            FrugalsegError: a number is not finite, or the file cannot be written.
        """
        assert self.asked is not None
        sealed = {
            "asked": self.asked.plain(),
            "weights": _digest(self.weights.read_bytes()),
            "finished": True,
        }
        self.write_state(state | sealed)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; none if the training has not begun."""
        path = self.path / "metrics.jsonl"
        return read_json_lines(path) if path.is_file() else []

    def result_path(self, name: str) -> Path:
        """The file of a result of the run."""
        return self.path / "results" / f"{name}.json"


def save_weights(model: "nn.Module", path: Path) -> None:
    """Write a model's tensors to a safetensors file, atomically.

    Raises:
        FrugalsegError: a weight is not finite, or the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    if not _finite(tensors.values()):
        raise FrugalsegError(
            f"{path.parent}: the training has failed, its weights are not finite. {BEGIN_AGAIN}"
        )
    atomic_write(save(tensors), path)


def load_weights(model: "nn.Module", path: Path, digest: str) -> None:
    """Fill a model with the tensors of a file.

    Args:
        model: the model.
        path: the file.
        digest: of its content, "weights" in the state of a run.

    Raises:
        FrugalsegError: the file is not as it was written, or does not fit the model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    again = "Put it back as it was, or train the run again."
    try:
        content = path.read_bytes()
        if _digest(content) != digest:
            raise FrugalsegError(f"{path} is not as the training wrote it. {again}")
        tensors = load(content)  # load_file fails on names that are not UTF-8
    except (SafetensorError, OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise FrugalsegError(f"{path} is not a whole safetensors file ({said}). {again}") from error
    if not _finite(tensors.values()):
        raise FrugalsegError(f"{path} holds weights that are not finite. {again}")
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise FrugalsegError(
            f"{path} does not fit the run's config.yaml: were they written by one training? "
            f"({str(error).splitlines()[1].strip()})"
        ) from error


def finite_answer(scores: "Tensor") -> "Tensor":
    """The answer of a network, unless it is not finite.

    Raises:
        FrugalsegError: a value is infinite or no number.
    """
    if not _finite([scores]):
        raise FrugalsegError(
            "The network's answer is not finite: the image or the weights hold values that it "
            "cannot take."
        )
    return scores


def _finite(tensors: "Iterable[Tensor]") -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _checksum(content: dict[str, Any]) -> str:
    # as it will be read: JSON has lists alone, and names alone as keys
    plain = json.loads(json.dumps(content))
    return _digest(json.dumps(plain, sort_keys=True).encode())


def _write_sealed(content: dict[str, Any], path: Path) -> None:
    """Write JSON with a checksum of itself."""
    write_json({**content, "checksum": _checksum(content)}, path)


def _read_sealed(path: Path, remedy: str) -> dict[str, Any]:
    """Read JSON that must be as it was written: no value in it needs a further check.

    Raises:
        FrugalsegError: the file is missing, damaged or changed; the text ends with the remedy.
    """
    content = read_json(path, remedy)
    if not isinstance(content, dict) or content.pop("checksum", None) != _checksum(content):
        raise FrugalsegError(f"{path} has been changed since it was written. {remedy}")
    return content
