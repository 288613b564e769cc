"""Result files of experiments: what is done already, and all that lies in a folder.

:func:`make_once` is the one place that decides whether a result is of the asked settings.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from frugalseg.console import log
from frugalseg.engine.config import TaskConfig
from frugalseg.engine.results import Result, ResultKind, read_result, write_result
from frugalseg.errors import FrugalsegError
from frugalseg.files import folder_name
from frugalseg.tasks import TASKS
from frugalseg.tasks.iic.report import score

# What is compared with the runs of a task: groups that were made in another way.
BASELINES = {
    "cluster-baseline": ResultKind(
        task="cluster-baseline",
        names=("method", "clusters"),
        parts={},
        columns=tuple((name, ".3f", score(name.lower())) for name in ("accuracy", "NMI", "ARI")),
    ),
    "discover-baseline": ResultKind(
        task="discover-baseline",
        names=("method", "weight", "height", "clusters"),
        parts={},
        columns=(
            *((name, ".3f", score(name.lower())) for name in ("accuracy", "mIoU")),
            ("groups used", ".0f", score("used")),
        ),
    ),
}


def kind_of(task: str) -> ResultKind:
    """What results of a task, or of a baseline, hold.

    Raises:
        FrugalsegError: there is no such task.
    """
    kind: ResultKind = BASELINES[task] if task in BASELINES else TASKS.find(task).result
    return kind


def make_once(
    config: TaskConfig,
    path: Path,
    make: Callable[[], Result],
    split: str | None = None,
    also: Mapping[str, Any] | None = None,
) -> Result:
    """Read a result if it is there and of these settings, else make and write it.

    Args:
        config: what is to be done; its class says which kind of result it gives.
        path: the result file.
        make: does it.
        split: which images are scored; None: any.
        also: what else decides the result, beside the settings.

    Raises:
        FrugalsegError: the result is of other settings, or cannot be read.
    """
    result = find_result(config, path, split, also)
    if result is None:
        log.info(f"== {path.stem}")
        result, settings = make(), {**settings_of(config), **(also or {})}
        result = dataclasses.replace(result, parts={**result.parts, "settings": settings})
        write_result(result, path)
    return result


def find_result(
    config: TaskConfig,
    path: Path,
    split: str | None = None,
    also: Mapping[str, Any] | None = None,
) -> Result | None:
    """The result in a file if it is of these settings, None if there is no file.

    Arguments and errors are those of :func:`make_once`. A setting that an older file does not know
    had its default.
    """
    if not path.exists():
        return None
    result = read_result(path, kind_of(config.task))
    if "settings" not in result.parts:
        raise FrugalsegError(f"{path} does not say its settings: name another folder with --out.")
    saved = {**settings_of(type(config)()), **result.parts["settings"]}
    saved["scored split"] = result.what["split"]
    asked = {**settings_of(config), **(also or {}), "scored split": split or saved["scored split"]}
    for name, value in asked.items():
        if saved.get(name) != value:
            raise FrugalsegError(
                f"{path} was made with other settings ({name}: {saved.get(name)} there, {value} "
                "asked): name another folder with --out."
            )
    return result


def settings_of(config: TaskConfig) -> dict[str, Any]:
    """The settings that decide a result, as its file holds them.

    Paths are kept by their last names, as data sets lie elsewhere on other machines; what hardware
    is used is left out.
    """
    plain = config.plain()
    fields = [f for f in dataclasses.fields(config) if f.metadata.get("names_run", True)]
    values = {f.name: plain[f.name] for f in fields}
    for name, value in values.items():
        if isinstance(value, str) and ("/" in value or (value and name in ("data", "clustering"))):
            values[name] = folder_name(value)
    settings: dict[str, Any] = json.loads(json.dumps(values))
    return settings


def read_results(folder: Path) -> list[Result]:
    """The results in a folder, by name.

    Raises:
        FrugalsegError: there are none, or one cannot be read.
    """
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            task = str(json.loads(path.read_text(encoding="utf-8"))["task"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FrugalsegError(f"{path} is no result of a task ({error!r}).") from error
        results.append(read_result(path, kind_of(task)))
    if not results:
        raise FrugalsegError(f"{folder} holds no results of a grid (*.json).")
    return results
