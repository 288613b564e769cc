"""Limits of settings that no type says, and the settings of views."""

import dataclasses
from collections.abc import Mapping, Set
from typing import Any, TypeVar

from frugalseg.errors import FrugalsegError
from frugalseg.networks.heads import HEADS
from frugalseg.networks.names import suggestion
from frugalseg.training.dense_views import DenseViews
from frugalseg.training.views import PRESETS, Views

AnyViews = TypeVar("AnyViews", Views, DenseViews)


def known_views(name: str) -> str:
    """The name of views, if there are such.

    Raises:
        FrugalsegError: there are none.
    """
    if name not in PRESETS:
        raise FrugalsegError(
            f"There are no views {name!r}{suggestion(name, PRESETS)}: "
            f"choose among {', '.join(PRESETS)}."
        )
    return name


def with_view_options(
    views: AnyViews, options: Mapping[str, Any], fixed: Set[str] = frozenset()
) -> AnyViews:
    """Views with some settings changed.

    Args:
        views: as they are without.
        options: of --view-options.
        fixed: settings that have an option of their own.

    Raises:
        FrugalsegError: there is no such setting, or it cannot have this value.
    """
    known = {f.name for f in dataclasses.fields(views)} - fixed
    unknown = sorted(set(options) - known)
    if unknown:
        raise FrugalsegError(
            f"Views have no setting {unknown[0]!r}: there are {', '.join(sorted(known))}."
        )
    try:
        return dataclasses.replace(views, **options)
    except (ValueError, TypeError) as error:
        raise FrugalsegError(f"--view-options cannot be used: {error}.") from error


def either(given: Any, default: Any) -> Any:
    """What was given, or where that is None the default."""
    return default if given is None else given


def refuse_out_of_range(config: Any, sound: Mapping[str, bool]) -> None:
    """Name the first setting that is out of range.

    Args:
        config: of a run, a dataclass that names its ``task``.
        sound: for each setting, whether its value can be used.

    Raises:
        FrugalsegError: one cannot.
    """
    for name, can_be_used in sound.items():
        if not can_be_used:
            raise FrugalsegError(
                f"{name}={getattr(config, name)!r} is out of range: "
                f"'frugalseg {config.task} --help' says what it means."
            )


def limits_of_heads(config: Any) -> dict[str, bool]:
    """What all trainings of main and overclustering heads have, and whether it can be used."""
    return {
        "sub_heads": config.sub_heads is None or config.sub_heads >= 1,
        "width": config.width >= 1,
        "hidden": config.hidden is None or config.hidden >= 0,
        "components": config.components >= 1,
        "copies": config.copies is None or config.copies >= 1,
        "batch": config.batch is None or config.batch >= 2,
        "steps": config.steps is None or config.steps >= 1,
        "rate": config.rate is None or config.rate > 0,
        "decay": 0 <= config.decay <= 1,
        "order": set(config.order) <= set(HEADS) and "main" in config.order,
        "turn": config.turn is None or config.turn >= 1,
        "restarts": config.restarts >= 1,
        "seed": 0 <= config.seed < 2**31 - config.restarts,
        "nodes": config.nodes >= 1,
    }
