"""Result files, one JSON file for each evaluation, and the tables made from them.

The layout is the same for every task; a :class:`ResultKind` declares the further parts of a task's
results and the columns of its tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frugalseg.engine.config import TaskConfig
from frugalseg.engine.environment import command_line, environment
from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json, write_json
from frugalseg.reports.tables import markdown_table

FORMAT = 1
Value = Callable[["Result"], float | None]
_COMMON = ("command", "run", "data", "split", "images", "config_hash", "seed")


@dataclass(frozen=True)
class ResultKind:
    """The contents of a task's results, and the columns of their tables.

    Attributes:
        task: the task's name.
        names: keys of ``what`` that distinguish runs, besides data, split and variant.
        parts: further parts of a result, and the keys that each must hold.
        columns: of numbers: heading, format, and a function from a result to the value.
    """

    task: str
    names: tuple[str, ...]
    parts: Mapping[str, tuple[str, ...]]
    columns: tuple[tuple[str, str, Value], ...]


@dataclass(frozen=True)
class Result:
    """One evaluation of one run.

    Attributes:
        kind: of the task.
        what: what was run: "command", "run", "data", "split", "images", "config_hash", "seed", the
            settings by which the task names its runs, and "variant".
        environment: as :func:`frugalseg.engine.environment.environment` returns it.
        scores: of the task; None if there were no labels or masks to score by.
        parts: further measurements, such as "cost".
    """

    kind: ResultKind
    what: Mapping[str, Any]
    environment: Mapping[str, Any]
    scores: Mapping[str, Any] | None
    parts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> str:
        return str(self.what["run"])

    @property
    def seed(self) -> int:
        return int(self.what["seed"])

    def plain(self) -> dict[str, Any]:
        """The contents of the JSON file."""
        return {
            "format": FORMAT,
            "task": self.kind.task,
            "what": dict(self.what),
            "environment": dict(self.environment),
            "scores": None if self.scores is None else dict(self.scores),
            **self.parts,
        }


def number_at(*keys: str | int) -> Value:
    """A function from a result to a number in one of its parts; None if it is missing.

    Args:
        keys: the path to the number, such as ``"scores", "miou", "all"``.
    """

    def value(result: Result) -> Any:
        number: Any = {"what": result.what, "scores": result.scores, **result.parts}
        for key in keys:
            try:
                number = number[key]
            except (KeyError, IndexError, TypeError):
                return None
        return number

    return value


def make_result(
    kind: ResultKind,
    config: TaskConfig,
    what: Mapping[str, Any],
    scores: Mapping[str, Any] | None,
    **parts: Any,
) -> Result:
    """The result of an evaluation that ends now, in this process.

    Args:
        kind: of the task.
        config: of the run, before it was resolved: its settings distinguish the run.
        what: "run", "data", "split", "images" and the names of the kind.
        scores, parts: see :class:`Result`.
    """
    common = {
        "command": command_line(),
        **what,
        "config_hash": config.hash(),
        "seed": getattr(config, "seed", 0),
        "variant": config.variant(kind.names),
    }
    return Result(kind, common, environment(), scores, parts)


def write_result(result: Result, path: Path) -> None:
    """Write a result as JSON, atomically.

    Raises:
        ValueError: a key is missing, or a number is not finite.
        FrugalsegError: the file cannot be written.
    """
    plain = result.plain()
    missing = _missing(plain, result.kind)
    if missing:
        raise ValueError(f"the result lacks {', '.join(missing)}")
    write_json(plain, path)


def read_result(path: Path | str, kind: ResultKind) -> Result:
    """Read a result file.

    Raises:
        FrugalsegError: the file is missing, not JSON, of another task, or incomplete.
    """
    path = Path(path)
    again = "Evaluate the run again to make it."
    plain = read_json(path, again)
    if not isinstance(plain, dict) or plain.get("format") != FORMAT:
        raise FrugalsegError(f"{path}: this is not a result file of format {FORMAT}. {again}")
    if plain.get("task") != kind.task:
        raise FrugalsegError(
            f"{path}: this is a result of '{plain.get('task')}', not of '{kind.task}'. {again}"
        )
    missing = _missing(plain, kind)
    if missing:
        raise FrugalsegError(f"{path}: the result lacks {', '.join(missing)}. {again}")
    own = {"format", "task", "what", "environment", "scores"}
    parts = {name: value for name, value in plain.items() if name not in own}
    return Result(kind, plain["what"], plain["environment"], plain["scores"], parts)


def _missing(plain: Mapping[str, Any], kind: ResultKind) -> list[str]:
    required = {
        **kind.parts,
        "what": (*_COMMON, *kind.names, *kind.parts.get("what", ())),
        "environment": ("frugalseg", "torch", "date"),
    }
    missing = [] if "scores" in plain else ["scores"]
    for part, keys in required.items():
        inner = plain.get(part)
        if not isinstance(inner, Mapping):
            missing += [part] if part not in plain or keys else []
        else:
            missing += [f"{part}.{key}" for key in keys if key not in inner]
    return missing


def group_seeds(results: Sequence[Result]) -> list[list[Result]]:
    """Group the results that differ by seed alone, in order of appearance.

    Results belong together if data, split, the names of their kind and the variant agree. If a seed
    appears twice among them, they differ in some other way and each forms its own group.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        names = ("data", "split", *result.kind.names, "variant")
        key = json.dumps([result.what.get(name) for name in names], default=str)
        groups.setdefault(key, []).append(result)
    grouped = []
    for group in groups.values():
        seeds = {result.seed for result in group}
        grouped += [group] if len(seeds) == len(group) else [[result] for result in group]
    return grouped


def mean_and_range(group: Sequence[Result], value: Value) -> tuple[float, float, float] | None:
    """Mean, minimum and maximum of a value over a group; None if no result has it."""
    values = [number for number in map(value, group) if number is not None]
    return (sum(values) / len(values), min(values), max(values)) if values else None


def spread_text(group: Sequence[Result], value: Value, form: str) -> str:
    """A cell of a table: mean (minimum to maximum) of a group in a number format, or "none"."""
    numbers = mean_and_range(group, value)
    if numbers is None:
        return "none"
    mean, lowest, highest = (format(number, form) for number in numbers)
    return mean if lowest == highest else f"{mean} ({lowest} to {highest})"


def results_table(results: Sequence[Result], over_seeds: bool = True, images: bool = False) -> str:
    """A Markdown table with a row for each group of results that differ by seed alone.

    Args:
        results: of one kind, at least one.
        over_seeds: show the mean over seeds (minimum to maximum); else a row for each result.
        images: show how many images were scored, as the first number, also if the kind does not.
    """
    kind = results[0].kind
    columns = kind.columns
    if images:
        number = number_at("what", "images")
        columns = (("images", ".0f", number), *(c for c in columns if c[0] != "images"))
    groups = group_seeds(results) if over_seeds else [[result] for result in results]
    header = ["run", *kind.names, "seeds" if over_seeds else "seed"]
    rows = []
    for group in groups:
        names = [_cell(group[0].what.get(name)) for name in kind.names]
        seeds = str(len(group) if over_seeds else group[0].seed)
        numbers = [spread_text(group, value, form) for _, form, value in columns]
        rows.append([_title(group), *names, seeds, *numbers])
    header += [name for name, _, _ in columns]
    table = markdown_table(header, rows, words=1 + len(kind.names))
    averaged = any(len(group) > 1 for group in groups)
    return table + "\nMean over seeds; in brackets the least and the greatest.\n" * averaged


def _title(group: Sequence[Result]) -> str:
    """The common name of a group's runs, without the seed."""
    first = group[0]
    name = first.run.removesuffix(f"-{first.seed}")
    return name if all(result.run.startswith(name) for result in group) else f"{first.run}, ..."


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return "" if value is None else str(value)
