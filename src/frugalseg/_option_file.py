"""Options of commands in a YAML file; every key is checked before any work begins."""

from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError
from cyclopts.config import Dict

from frugalseg.errors import FrugalsegError
from frugalseg.files import read_yaml
from frugalseg.registry import did_you_mean


def read_option_file(path: Path, app: App) -> Dict:
    """Read a YAML file of options, below the names of their commands.

    Args:
        path: the file.
        app: the program, with its commands and their options.

    Returns:
        A configuration for the program.

    Raises:
        FrugalsegError: the file cannot be read, or a key in one of its sections is neither a
            command nor an option of its command.
    """
    return Dict(_sections(path, app, read_yaml(path), ()), source=str(path))


def _sections(path: Path, app: App, values: Any, above: tuple[str, ...]) -> dict[str, Any]:
    """The sections of a file, or of a command that has commands of its own."""
    commands = [name for name in app if not name.startswith("-")]
    example = "segment" if "segment" in commands else commands[0]
    values = {} if values is None else values
    wrong = [key for key in values if key not in commands] if isinstance(values, dict) else []
    if wrong or not isinstance(values, dict):
        raise FrugalsegError(
            f"{path}: options must stand below the name of their command, such as "
            f"{_heading((*above, example))}{f', not {wrong[0]!r}' if wrong else ''}. "
            f"Commands: {', '.join(commands)}."
        )
    sections = {}
    for name, section in values.items():
        command = app[name]
        read = _sections if command.default_command is None else _options
        sections[name] = read(path, command, section, (*above, name))
    return sections


def _options(path: Path, command: App, values: Any, where: tuple[str, ...]) -> dict[str, Any]:
    """The options of one command; a section may be empty."""
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise FrugalsegError(
            f"{path}: below {_heading(where)} there must be options, such as 'seed: 1', "
            f"not {values!r}."
        )
    for key, value in values.items():
        known = command.assemble_argument_collection()
        try:
            Dict({str(key): value}, use_commands_as_keys=False)(command, (), known)
        except CycloptsError as error:
            names = [n.removeprefix("--") for each in known if each.parse for n in each.names]
            name = str(key).replace("_", "-")
            wrong = f"there is no option {key!r} below {_heading(where)}{did_you_mean(name, names)}"
            if name in names:
                what = "has no options of its own" if isinstance(value, dict) else "takes one value"
                wrong = f"the option {key!r} below {_heading(where)} {what}"
            raise FrugalsegError(f"{path}: {wrong}.") from error
    return values


def _heading(where: tuple[str, ...]) -> str:
    """The heading of a section in a file, such as ``'prepare: cocostuff:'``."""
    return f"'{' '.join(f'{name}:' for name in where)}'"
