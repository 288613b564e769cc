"""What runs of all tasks but segmentation share: a settings file that names its task, and a state.

config.yaml                 everything needed to train it again, with ``task``
state.json                  what was chosen on the way, and whether it finished
weights.safetensors         after the last step
lowest.safetensors          the same where the loss of the main head was lowest
metrics.jsonl, environment.json, results/*.json, checkpoints/: as in :mod:`frugalseg.runs`
"""

import copy
import dataclasses
import typing
from collections.abc import Set
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import yaml

from frugalseg.errors import FrugalsegError
from frugalseg.files import write_whole
from frugalseg.runs import FORMAT, find_run, read_settings, read_state

if typing.TYPE_CHECKING:
    from torch import nn

GIVEN = "given"  # the name of a trunk that is handed in from Python
WEIGHTS = {"last": "weights.safetensors", "lowest": "lowest.safetensors"}
NEEDS = frozenset({"finished", "plan", "clusters", "sub_head"})
KINDS = {
    "segment": "a segmentation run",
    "cluster": "a clustering run",
    "discover": "a discovery",
    "finetune": "a fine-tuned run",
}


class TaskConfig(Protocol):
    """What this module reads of a configuration; it is a dataclass."""

    task: ClassVar[str]


Config = TypeVar("Config", bound=TaskConfig)
Plan = TypeVar("Plan")


def run_task(folder: Path | str) -> str:
    """What a run does: "segment", "cluster", "discover" or "finetune".

    Raises:
        FrugalsegError: the folder is no run.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FrugalsegError(f"{folder}: there is no such run.")
    return str(read_settings(folder).get("task", "segment"))


def read_task_config(folder: Path, kind: type[Config]) -> Config:
    """The configuration of a run.

    Args:
        folder: the run's folder.
        kind: the configuration's class, a dataclass that names its ``task``.

    Raises:
        FrugalsegError: there is none, or it is of another version or task.
    """
    values = read_settings(folder)
    there = values.pop("task", "segment")
    if there != kind.task:
        said = KINDS.get(there, f"a {there}")
        raise FrugalsegError(f"{folder} is {said}, not {KINDS[kind.task]}.")
    unknown = set(values) - {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown or "data" not in values:
        said = f"has unknown settings: {', '.join(sorted(unknown))}" if unknown else "names no data"
        raise FrugalsegError(f"{folder / 'config.yaml'} {said}.")
    return kind(**values)


def with_given_trunk(config: Any, trunk: "nn.Module | None") -> Any:
    """A configuration that says so where a trunk is handed in.

    Raises:
        FrugalsegError: it names another one.
    """
    if trunk is None:
        return config
    if config.trunk not in (None, GIVEN):
        raise FrugalsegError(
            f"The trunk {config.trunk} is asked for by name and another is handed in: "
            "leave one of them out."
        )
    return dataclasses.replace(config, trunk=GIVEN)


def trunk_to_build(name: str, trunk: "nn.Module | None") -> "str | nn.Module":
    """What the trunk of a plan is built from.

    Args:
        name: the plan's.
        trunk: what is handed in.

    Returns:
        The name, or a copy of what is handed in, which itself is never changed.

    Raises:
        FrugalsegError: nothing is handed in and should be, or the other way round.
    """
    if (name == GIVEN) == (trunk is None):
        raise FrugalsegError(
            "The run's trunk was handed in from Python: hand it in again, as the argument trunk."
            if trunk is None
            else f"The run's trunk is {name}: none can be handed in."
        )
    return name if trunk is None else copy.deepcopy(trunk).cpu()


def find_task_run(folder: Path, config: Any, needs: Set[str] = NEEDS) -> dict[str, Any] | None:
    """The state of the run in a folder; None where the folder is free. Changes nothing.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    return find_run(folder, config, lambda f: read_task_config(f, type(config)), needs)


def open_task_run(folder: Path, config: Any, needs: Set[str] = NEEDS) -> dict[str, Any]:
    """Make a run folder, or open an unfinished one of the same configuration.

    Returns:
        The run's state; ``state["finished"]`` tells whether there is anything left to do.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    state = find_task_run(folder, config, needs)
    if state is None:
        plain = {
            k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(config).items()
        }
        text = yaml.safe_dump({"format": FORMAT, "task": config.task, **plain}, sort_keys=False)
        write_whole(text.encode(), folder / "config.yaml")
    return state or {"finished": False}


def read_finished(
    folder: Path | str,
    kind: type[Config],
    plan: type[Plan],
    weights: str = "last",
    needs: Set[str] = NEEDS,
) -> tuple[Config, Plan, dict[str, Any]]:
    """Configuration, plan and state of a finished run, before its networks are built.

    Args:
        folder: the run's folder.
        kind, plan: classes of its configuration and of its plan.
        weights: "last" or "lowest": which must be there.
        needs: what the state must hold.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, or of another version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FrugalsegError(f"{folder}: there is no such run.")
    config = read_task_config(folder, kind)
    state = read_state(folder, needs) if (folder / "state.json").exists() else {}
    if not state.get("finished") or not (folder / WEIGHTS[weights]).is_file():
        raise FrugalsegError(
            f"{folder} is not finished: "
            f"give the same 'frugalseg {kind.task}' command again to go on."
        )
    try:
        return config, plan(**state["plan"]), state
    except TypeError as error:
        raise FrugalsegError(
            f"{folder / 'state.json'} is of another version of frugalseg: train the run again."
        ) from error
