"""Settings: typed reading, limits, help, and the one rule of what names a run."""

import dataclasses
import math
import typing
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import yaml

from frugalseg.engine.config import (
    Names,
    Options,
    SizeOption,
    TaskConfig,
    TrainingConfig,
    default_of,
    parse_size,
    setting,
)
from frugalseg.errors import FrugalsegError
from frugalseg.registry import Registry
from frugalseg.tasks import CONFIGS
from tiny import cli


@dataclasses.dataclass(frozen=True)
class Example(TaskConfig):
    """A configuration with a setting of each type."""

    task: ClassVar[str] = "example"

    data: str = setting("", "A folder.")
    count: int = setting(3, "A number.", at_least=1, below=10)
    groups: int | Literal["auto"] = setting(2, "A number or a word.", at_least=2)
    rate: float | None = setting(None, "A rate.", above=0)
    on: bool = setting(True, "A switch.")
    size: SizeOption = setting((4, 4), "A size.", at_least=2)
    thumbnail: SizeOption | None = setting(None, "A size or nothing.")
    kind: str = setting("red", "A name", choices=Registry("kind", {"red": 1, "green": 2}))
    words: Names = setting((), "Words.")
    options: Options = setting({}, "Options.")
    devices: str = setting("auto", "Hardware.", names_run=False)


VALUES: dict[str, Any] = {
    "data": "photos",
    "count": 4,
    "groups": "auto",
    "rate": 0.5,
    "on": False,
    "size": (8, 16),
    "thumbnail": (3, 5),
    "kind": "green",
    "words": ("a", "b"),
    "options": {"widths": (4, 8), "name": "x"},
    "devices": "2",
}


def test_a_configuration_comes_back_from_yaml_as_it_was() -> None:
    config = Example(**VALUES)
    text = yaml.safe_dump(config.plain())
    assert "size: 8x16" in text
    assert Example.from_values(yaml.safe_load(text), "config.yaml") == config
    assert Example.from_values(yaml.safe_load(yaml.safe_dump(Example().plain())), "x") == Example()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data", 5),
        ("data", None),
        ("count", "3"),
        ("count", 1.5),
        ("count", True),
        ("count", [3]),
        ("count", None),
        ("groups", "many"),
        ("groups", 2.5),
        ("rate", "fast"),
        ("rate", [0.1]),
        ("on", "yes"),
        ("on", 1),
        ("size", "8xbig"),
        ("size", "8x9999999"),
        ("size", 1.5),
        ("size", {"rows": 8}),
        ("size", (1, 8)),
        ("thumbnail", []),
        ("words", "a"),
        ("words", [1]),
        ("options", [1]),
        ("options", {1: 2}),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(FrugalsegError, match=rf"run/config\.yaml: {name} cannot be ") as refused:
        Example.from_values({name: value}, "run/config.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("count", 0, "at least 1 and below 10"),
        ("count", 10, "at least 1 and below 10"),
        ("groups", 1, "at least 2"),
        ("rate", 0.0, "above 0"),
        ("rate", math.nan, "a finite number"),
        ("rate", math.inf, "a finite number"),
        ("kind", "gren", "choose among red, green (did you mean 'green'?)"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, value: Any, says: str) -> None:
    with pytest.raises(FrugalsegError) as refused:
        Example(**{name: value}).check()
    assert str(refused.value).startswith(f"{name}=")
    assert says in str(refused.value)


def test_values_given_in_python_get_their_types() -> None:
    config = Example(size="8x16", data=Path("photos"))
    config.check()
    assert (config.size, config.data) == ((8, 16), "photos")
    with pytest.raises(FrugalsegError, match=r"^count cannot be '3': it must be a whole number"):
        Example(count="3").check()


def test_an_unknown_setting_is_refused_with_the_nearest() -> None:
    with pytest.raises(FrugalsegError, match=r"unknown setting 'cuont' \(did you mean 'count'\?\)"):
        Example.from_values({"cuont": 3}, "config.yaml")


def test_what_names_a_run() -> None:
    assert Example().variant() is None
    assert Example(devices="2", data="elsewhere").variant() is None
    assert Example(count=5, kind="green").variant() == "count=5, kind=green"
    assert Example(count=5, kind="green").variant(("kind",)) == "count=5"
    assert Example(words=("lists/a.csv",)).variant() == "words=('lists/a.csv',)"
    assert Example().hash() != Example(count=4).hash()
    assert Example(count=4).differences(Example()) == "count: 4 there, 3 asked"


@pytest.mark.parametrize(
    ("text", "size"),
    [("64x128", (64, 128)), ("64", (64, 64)), (64, (64, 64)), (["64", "x", "32"], None)],
)
def test_sizes(text: Any, size: tuple[int, int] | None) -> None:
    if size is None:
        with pytest.raises(FrugalsegError, match="is no size"):
            parse_size(text)
    else:
        assert parse_size(text) == size


@pytest.mark.parametrize("task", list(CONFIGS))
def test_every_setting_of_every_task_has_its_help_limits_and_a_sound_default(task: str) -> None:
    kind = CONFIGS[task]
    kind().check()
    shown = " ".join(cli(task, "--help").out.split())
    for field in dataclasses.fields(kind):
        assert field.metadata["help"].endswith("."), field.name
        option = f"--{field.name.replace('_', '-')}"
        if field.name not in (kind.source, "data"):
            assert option in shown, option
        for name in field.metadata["choices"] or ():
            assert name in field.metadata["help"], field.name


def numbers(kind: type[TrainingConfig]) -> list[tuple[str, Any]]:
    """For each limit of each setting, a value just beyond it."""
    beyond = {
        "at_least": lambda limit: limit - 1,
        "above": lambda limit: limit,
        "at_most": lambda limit: limit + 1,
        "below": lambda limit: limit,
    }
    hints = typing.get_type_hints(kind)
    return [
        (field.name, beyond[name](limit))
        for field in dataclasses.fields(kind)
        for name, limit in field.metadata["limits"].items()
        if not isinstance(default_of(field), tuple | dict) and "tuple" not in str(hints[field.name])
    ]


@pytest.mark.parametrize("task", list(CONFIGS))
def test_every_limit_of_every_task_is_held(task: str) -> None:
    kind = CONFIGS[task]
    limits = numbers(kind)
    assert limits
    for name, value in limits:
        with pytest.raises(FrugalsegError, match=rf"^{name}=.* is out of range: it must be "):
            kind(**{name: value}).check()
