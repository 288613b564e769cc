"""Published settings: YAML files of the settings of one task each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from cyclopts import Parameter

from frugalseg.engine.config import Options, TrainingConfig, option_value
from frugalseg.errors import FrugalsegError
from frugalseg.registry import did_you_mean
from frugalseg.tasks import CONFIGS

SETTINGS = Path(__file__).with_name("settings")
Numbers = Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True)]
Shares = Annotated[tuple[float, ...], Parameter(negative="", consume_multiple=True)]


def load_settings(name: str, data: str, changes: Mapping[str, Any] | None = None) -> TrainingConfig:
    """A configuration from a YAML file: its task, and settings of it.

    Args:
        name: of a file in ``experiments/settings``, a path to another one, or a task, for its
            defaults.
        data: what the command is given: a folder of images, or of a clustering to be fine-tuned.
        changes: settings in place of those of the file.

    Raises:
        FrugalsegError: there is no such file, or a setting in it is unknown or out of range.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else SETTINGS / f"{name}.yaml"
    if name in CONFIGS:
        values: Any = {"task": name}
    else:
        values = _read(name, path)
    task = str(values.pop("task", None))
    if task not in CONFIGS:
        raise FrugalsegError(f"{path} must name its task, one of {', '.join(CONFIGS)}.")
    kind: type[TrainingConfig] = CONFIGS[task]
    return kind.from_values({kind.source: data, **values, **(changes or {})}, f"{path} or --set")


def _read(name: str, path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = [*CONFIGS, *sorted(file.stem for file in SETTINGS.glob("*.yaml"))]
        raise FrugalsegError(
            f"There are no settings {name!r}{did_you_mean(name, known)}: give a YAML file, or one "
            f"of {', '.join(known)}."
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise FrugalsegError(f"{path} cannot be read ({' '.join(str(error).split())}).") from error
    if not isinstance(values, dict):
        raise FrugalsegError(f"{path} holds no settings, such as 'steps: 100'.")
    return values


def read_options(options: Options) -> dict[str, Any]:
    """Settings as YAML holds them, from the words of the command line."""
    return {name.replace("-", "_"): option_value(word) for name, word in options.items()}
