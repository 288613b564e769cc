"""Types of options that read alike on the command line and in YAML."""

import contextlib
import typing
from typing import Any

import yaml
from cyclopts import Parameter

from frugalseg.errors import FrugalsegError

Size = tuple[int, int]
Options = typing.Annotated[dict[str, Any], Parameter(show_default=False)]


def parse_size(text: str | int | typing.Sequence[str | int]) -> Size:
    """``"64x128"``, rows x columns; one number means a square.

    Raises:
        FrugalsegError: the text is no size.
    """
    words = [text] if isinstance(text, str | int) else text
    parts = [part.strip() for word in words for part in str(word).lower().split("x")]
    if len(parts) == 1:
        parts = parts * 2
    if len(parts) != 2 or not all(p.isdigit() and int(p) >= 2 for p in parts):
        raise FrugalsegError(
            f"{' '.join(map(str, words))!r} is no size: "
            "write rows x columns, such as 64x64, each at least 2."
        )
    return int(parts[0]), int(parts[1])


SizeOption = typing.Annotated[
    Size,
    Parameter(
        converter=lambda _, tokens: parse_size([t.value for t in tokens]),
        n_tokens=1,
        accepts_keys=False,
        negative="",
        metavar="ROWSxCOLUMNS",
        show_default=lambda size: "x".join(map(str, size)) if size else "",
    ),
]
Names = typing.Annotated[tuple[str, ...], Parameter(negative="", metavar="NAME...")]


def option_value(value: Any) -> Any:
    """An option of a network: words are read as YAML, lists become tuples."""
    with contextlib.suppress(yaml.YAMLError):
        value = yaml.safe_load(value) if isinstance(value, str) else value
    if isinstance(value, str):  # YAML takes 5e-4 for a word
        with contextlib.suppress(ValueError):
            value = float(value)
    return tuple(map(option_value, value)) if isinstance(value, list | tuple) else value
