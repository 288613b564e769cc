"""Wrong values of every setting of every task: one sentence that names the setting."""

import dataclasses
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frugalseg.augment.config import PRESETS, with_augment_options
from frugalseg.engine.config import Size, TrainingConfig
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import CONFIGS
from tiny import cli, refused

every_task = pytest.mark.parametrize("task", list(CONFIGS))
# what may stand in a file for a value of each type, and is not one
OTHERS: list[Any] = [None, "x", "", True, -7, 1.5, math.nan, math.inf, 10**11, [1], [[1]], [], {}]
FITTING: dict[Any, tuple[type, ...]] = {
    int: (int,),
    float: (int, float),
    str: (str,),
    bool: (bool,),
    type(None): (type(None),),
}


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The types that a setting may have."""
    origin = typing.get_origin(hint)
    return typing.get_args(hint) if origin not in (None, tuple, dict, typing.Literal) else (hint,)


def may_be(value: Any, kind: Any) -> bool:
    """Whether a value is of a type, whatever its limits."""
    if kind in FITTING:
        boolean = isinstance(value, bool)
        return isinstance(value, FITTING[kind]) and boolean == (kind is bool)
    if typing.get_origin(kind) is typing.Literal:
        return value in typing.get_args(kind)
    if typing.get_origin(kind) is dict:
        return isinstance(value, dict)
    if kind == Size:
        return False  # none of the others is a size
    inner = typing.get_args(kind)[0]
    return isinstance(value, list) and all(may_be(each, inner) for each in value)


@every_task
def test_a_file_with_a_value_of_another_type(task: str) -> None:
    kind = CONFIGS[task]
    tried = 0
    for name, hint in settings(kind):
        for value in OTHERS:
            if any(may_be(value, each) for each in alternatives(hint)):
                continue
            tried += 1
            with pytest.raises(
                FrugalsegError, match=rf"^run/config\.yaml: {name} cannot be "
            ) as no:
                kind.from_values({name: value}, "run/config.yaml")
            assert "\n" not in str(no.value)
    assert tried > 5 * len(settings(kind))


@every_task
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300, 10**400])
def test_numbers_without_end(task: str, number: float) -> None:
    kind = CONFIGS[task]
    for name, hint in settings(kind):
        options = typing.get_origin(hint) is dict
        if not options and float not in alternatives(hint):
            continue
        value = {"a": [1, {"b": number}]} if options else number
        with pytest.raises(FrugalsegError, match=rf"^x: {name}.*(finite|at most|below|a number)"):
            kind.from_values({name: value}, "x")


def settings(kind: type[TrainingConfig]) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(kind)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(kind)]


def wrong_words(kind: type[TrainingConfig]) -> Iterator[tuple[str, str]]:
    """For each setting, words of a command that it cannot take."""
    for name, hint in settings(kind):
        types = alternatives(hint)
        if name in ("data", kind.source):
            continue
        if int in types or typing.get_args(hint) == (int, ...):
            words = ["1.5", "100000000000"]
        elif float in types:
            words = ["nan", "1e400"]
        elif Size in types:
            words = ["1.5", "1000000x1000000"]
        elif bool in types:
            words = ["7"]
        elif typing.get_origin(hint) is dict:
            yield f"--{name.replace('_', '-')}.a=nan", name
            continue
        elif any(typing.get_origin(each) is typing.Literal for each in types):
            words = ["x"]
        else:
            field = next(f for f in dataclasses.fields(kind) if f.name == name)
            words = ["x"] if field.metadata["choices"] else []
        for word in words:
            yield f"--{name.replace('_', '-')}={word}", name


@every_task
def test_a_command_with_a_wrong_value(task: str, tmp_path: Path) -> None:
    for word, name in wrong_words(CONFIGS[task]):
        answer = cli(task, tmp_path / "nowhere", word)
        refused(answer)
        said = answer.err.splitlines()[-1].replace("-", "_")
        assert f"__{name}" in said or f" {name}=" in said, said


@pytest.mark.parametrize(
    ("option", "value"),
    [("steps", "1.5"), ("seed", "true"), ("learning-rate", ".nan"), ("size", "[64, 1.5]")],
)
def test_an_option_file_with_a_wrong_value(option: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(f"segment:\n  {option}: {value}\n")
    answer = cli("segment", tmp_path / "nowhere", "--config", path)
    refused(answer)
    assert option.replace("-", "_") in answer.err.replace("-", "_")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("rotation", value) for value in ((1, 2), "x", True, None, 181, {"a": 1})),
        *(("crops", value) for value in (3, (1.5,), ("x",), (0,), {"a": 1})),
        *(("scale", value) for value in (1, (1,), (2, 1), (1, 2, 3), ("a", "b"))),
        *(("channels", value) for value in (1.0, True, 2, "rgb", {"a": 1})),
        *(("sobel", value) for value in ("x", 1, ("none",))),
    ],
)
def test_options_of_views(option: str, value: Any) -> None:
    with pytest.raises(FrugalsegError, match=f"{option} of views is .*: it must be ") as no:
        with_augment_options(PRESETS["digits"], {option: value})
    assert "\n" not in str(no.value)
