"""Configurations of runs: each setting is written once, with its default, limits and help.

A configuration is a frozen dataclass whose fields are made by :func:`setting`. The same class
serves the command line (cyclopts reads types, defaults and help), ``config.yaml`` and Python.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import operator
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from cyclopts import Parameter

from frugalseg.errors import FrugalsegError
from frugalseg.files import parse_yaml
from frugalseg.registry import did_you_mean

Size = tuple[int, int]
OWN = "given"  # the name of a network that is handed in from Python
LARGEST = 10**9  # larger numbers are slips, and would overflow somewhere


def parse_size(text: str | int | Sequence[str | int]) -> Size:
    """Read a size such as ``"64x128"``, rows x columns; one number means a square.

    Raises:
        FrugalsegError: the text is not a size.
    """
    words = [text] if isinstance(text, str | int) else text
    parts = [part.strip() for word in words for part in str(word).lower().split("x")]
    if len(parts) == 1:
        parts = parts * 2
    if len(parts) != 2 or not all(p.isdecimal() and 2 <= int(p) <= 65_535 for p in parts):
        raise FrugalsegError(
            f"{' '.join(map(str, words))!r} is no size: "
            "write rows x columns, such as 64x64, each at least 2."
        )
    return int(parts[0]), int(parts[1])


def _size_of_words(_: Any, tokens: Sequence[Any]) -> Size:
    try:
        return parse_size([token.value for token in tokens])
    except FrugalsegError as error:
        raise ValueError(str(error)) from error  # cyclopts adds the name of the option


SizeOption = typing.Annotated[
    Size,
    Parameter(
        converter=_size_of_words,
        n_tokens=1,
        accepts_keys=False,
        negative="",
        metavar="ROWSxCOLUMNS",
        show_default=lambda size: "x".join(map(str, size)) if size else "",
    ),
]
Names = typing.Annotated[tuple[str, ...], Parameter(negative="", metavar="NAME...")]
Options = typing.Annotated[dict[str, Any], Parameter(show_default=False)]


def setting(
    default: Any,
    help_text: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: Collection[str] | None = None,
    names_run: bool = True,
) -> Any:
    """A field of a configuration.

    Args:
        default: its value if it is not set; None if the data decide.
        help_text: its meaning, shown by ``--help``.
        at_least, above, at_most, below: limits of a number, or of each number in a list or in
            options. No number may be larger than :data:`LARGEST`, unless one of these says so.
        choices: the allowed names, such as those of a registry; ``--help`` lists them.
        names_run: whether runs that differ in it have different results. False for the places of
            files and for hardware: comparisons do not distinguish such runs.
    """
    limits = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    if choices is not None:
        help_text = f"{help_text.rstrip('.')}: {', '.join(choices)}."
    metadata = {
        "help": help_text,
        "limits": {name: value for name, value in limits.items() if value is not None},
        "choices": choices,
        "names_run": names_run,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def option_value(value: Any) -> Any:
    """The value of an option of a network: text is read as YAML, lists become tuples."""
    with contextlib.suppress(yaml.YAMLError, ValueError):
        value = parse_yaml(value) if isinstance(value, str) else value
    if isinstance(value, str):  # YAML reads 5e-4 as text
        with contextlib.suppress(ValueError):
            value = float(value)
    return tuple(map(option_value, value)) if isinstance(value, list | tuple) else value


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """The common base of the configurations of all tasks.

    The docstring of a subclass is the help of its command.
    """

    task: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, dict):  # the command line gives options as text
                value = {str(k).replace("-", "_"): option_value(v) for k, v in value.items()}
            elif isinstance(value, list):
                value = tuple(value)
            elif isinstance(value, Path):
                value = str(value)
            object.__setattr__(self, field.name, value)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of all settings."""
        return tuple(field.name for field in dataclasses.fields(cls))

    @classmethod
    def from_values(cls, values: Mapping[str, Any], source: str) -> Self:
        """Make a configuration from plain values, as YAML and JSON hold them.

        Args:
            values: by name of setting.
            source: where they were read, for the message.

        Raises:
            FrugalsegError: a setting is unknown, or its value has another type or is out of range.
        """
        known = cls.names()
        for name in values:
            if name not in known:
                raise FrugalsegError(
                    f"{source} has an unknown setting {name!r}{did_you_mean(str(name), known)}."
                )
        config = cls(**{name: cls._typed(name, value, source) for name, value in values.items()})
        config.check(source)
        return config

    @classmethod
    def _typed(cls, name: str, value: Any, source: str | None) -> Any:
        """The value of a setting as its type, or a sentence that names the setting."""
        hint = typing.get_type_hints(cls)[name]
        try:
            return _typed(value, hint)
        except (TypeError, ValueError, OverflowError, FrugalsegError) as error:
            before = "" if source is None else f"{source}: "
            raise FrugalsegError(
                f"{before}{name} cannot be {_shown(value)}: it must be {_in_words(hint)}."
            ) from error

    def check(self, source: str | None = None) -> None:
        """Refuse values of another type or out of range; sizes may be text such as "64x64".

        Args:
            source: the file that holds the settings; None for options of a command or arguments in
                Python.

        Raises:
            FrugalsegError: names the first such setting and its limits.
        """
        for field in dataclasses.fields(self):
            value = self._typed(field.name, getattr(self, field.name), source)
            object.__setattr__(self, field.name, value)  # a size that was given as text in Python
            wrong = _out_of_range(value, field.metadata) if field.metadata else None
            if wrong is not None:
                before = "" if source is None else f"{source}: "
                raise FrugalsegError(
                    f"{before}{field.name}={_shown(value)} is out of range: {wrong}."
                )

    def plain(self) -> dict[str, Any]:
        """The settings as people would write them in YAML: sizes as 64x64, lists for tuples."""
        hints = typing.get_type_hints(type(self))
        values = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and _is_size(hints[field.name]):
                value = "x".join(map(str, value))
            values[field.name] = _untupled(value)
        return values

    def hash(self) -> str:
        """Twelve hexadecimal digits that differ if any setting does."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def variant(self, shown: Collection[str] = ()) -> str | None:
        """The settings that distinguish a run from others of its task: those not at their default.

        This is the one rule for naming runs: results whose data, shown settings and variant agree
        differ by seed alone, and comparisons average them.

        Args:
            shown: settings that a result holds separately.

        Returns:
            Text such as ``"steps=200, loss=balanced"``; None if all have their defaults.
        """
        changed = []
        for field in dataclasses.fields(self):
            if not field.metadata.get("names_run", True) or field.name in {*shown, "data", "seed"}:
                continue
            value = getattr(self, field.name)
            if value != default_of(field):
                name = Path(value).name if isinstance(value, str) and "/" in value else value
                changed.append(f"{field.name}={name}")
        return ", ".join(changed) or None

    def differences(self, other: Self, words: tuple[str, str] = ("there", "asked")) -> str:
        """The first three settings in which another configuration differs, as text.

        Args:
            other: the other configuration.
            words: what to call the two, after their values.
        """
        names = [name for name in self.names() if getattr(self, name) != getattr(other, name)]
        return ", ".join(
            f"{n}: {getattr(self, n)} {words[0]}, {getattr(other, n)} {words[1]}" for n in names[:3]
        )


# those of Lightning that leave the numbers of a batch unchanged
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_HARDWARE = "Seed and hardware"


@dataclasses.dataclass(frozen=True)
class TrainingConfig(TaskConfig):
    """The common base of all trainings: their data, seed and hardware."""

    source: ClassVar[str] = "data"  # the setting that is the argument of the command
    default_run: ClassVar[str]  # the default folder of a run, in words

    data: typing.Annotated[str, Parameter(parse=False)] = setting("", "Folder of images.")
    seed: typing.Annotated[int, Parameter(group=_HARDWARE)] = setting(
        0,
        "Seeds everything: the same seed gives the same run on the same machine.",
        at_least=0,
        below=2**31 - 1000,
    )
    precision: typing.Annotated[str, Parameter(group=_HARDWARE)] = setting(
        "32-true", "Number format of the training", choices=PRECISIONS
    )
    devices: typing.Annotated[str, Parameter(group=_HARDWARE)] = setting(
        "auto", "Number of devices, or auto.", names_run=False
    )
    nodes: typing.Annotated[int, Parameter(group=_HARDWARE)] = setting(
        1, "Number of machines.", at_least=1, at_most=10_000, names_run=False
    )

    @classmethod
    def places(cls) -> set[str]:
        """Settings that may be changed in a finished run, which may be moved to other places."""
        places = {f.name for f in dataclasses.fields(cls) if not f.metadata["names_run"]}
        return places | {"data", cls.source}


def help_of(kind: type[TaskConfig], name: str) -> str:
    """The text of ``--help`` for a setting."""
    return str(next(f for f in dataclasses.fields(kind) if f.name == name).metadata["help"])


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """The default of a dataclass field."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


_LIMITS = {
    "at_least": (operator.ge, "at least"),
    "above": (operator.gt, "above"),
    "at_most": (operator.le, "at most"),
    "below": (operator.lt, "below"),
}


def _out_of_range(value: Any, metadata: Mapping[str, Any]) -> str | None:
    """Say what a value must be; None if it is within its limits."""
    numbers = list(_numbers(value))
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        return "it must be a finite number"
    limits, choices = metadata["limits"], metadata["choices"]
    if not limits.keys() & {"at_most", "below"} and any(abs(n) > LARGEST for n in numbers):
        return f"it must be at most {LARGEST}"
    values = value if isinstance(value, tuple) else (value,)
    if not all(_LIMITS[name][0](n, limit) for name, limit in limits.items() for n in numbers):
        return "it must be " + " and ".join(f"{_LIMITS[n][1]} {v:.10g}" for n, v in limits.items())
    for name in () if choices is None else values:
        if isinstance(name, str) and name not in choices and name != OWN:
            return f"choose among {', '.join(choices)}{did_you_mean(name, choices)}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any) -> Iterator[int | float]:
    """The numbers in a value, or in the lists and options that it holds."""
    if isinstance(value, dict | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)
    elif _is_number(value):
        yield value


_UNIONS = (typing.Union, types.UnionType)


def _is_size(hint: Any) -> bool:
    return Size in (typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,))


def _typed(value: Any, hint: Any) -> Any:
    """Convert a value read from YAML or JSON to a type.

    Raises:
        TypeError, ValueError, FrugalsegError: it is of another type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        for alternative in arguments:
            with contextlib.suppress(TypeError, ValueError, FrugalsegError):
                return _typed(value, alternative)
        raise TypeError(hint)
    if hint is Any:
        return value
    if hint == Size and not isinstance(value, bool | float | dict):
        return parse_size(value)
    if origin is typing.Literal and value in arguments:
        return value
    if origin is tuple and hint != Size and isinstance(value, list | tuple):
        return tuple(_typed(each, arguments[0]) for each in value)
    if origin is dict and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return dict(value)
    if hint is float and _is_number(value):
        return float(value)
    if origin is None and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise TypeError(hint)


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "nothing",
    Size: "rows x columns, each at least 2, such as 64x64",
}


def _in_words(hint: Any) -> str:
    """A type in words, such as "a whole number or 'auto'"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin in _UNIONS:
        return " or ".join(map(_in_words, arguments))
    if origin is typing.Literal:
        return " or ".join(map(repr, arguments))
    return f"a list of {_in_words(arguments[0])}" if origin is tuple else "options by name"


def _untupled(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_untupled(each) for each in value]
    if isinstance(value, dict):
        return {key: _untupled(each) for key, each in value.items()}
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
