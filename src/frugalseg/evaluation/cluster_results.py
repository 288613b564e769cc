"""Result files of clusterings and discoveries, and the tables made from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import FORMAT, command_line, environment, spread_text
from frugalseg.files import write_json

TASK = "cluster"
_REQUIRED: dict[str, tuple[str, ...]] = {
    "what": ("command", "run", "data", "split", "images", "config_hash", "seed", "clusters"),
    "environment": ("frugalseg", "torch", "date"),
    "health": ("balance", "doubt", "used", "clusters"),
}
# Runs that share these differ by seed alone.
_SAME = ("data", "split", "clusters", "trunk", "frozen", "steps", "variant")


def cluster_result(
    what: Mapping[str, Any],
    health: Mapping[str, float],
    losses: Sequence[float],
    scores: Mapping[str, Any] | None,
    task: str = TASK,
) -> dict[str, Any]:
    """A result for :func:`write_cluster_result`.

    Args:
        what: was run: "run", "data", "split", "images", "config_hash", "seed", "clusters", ...
        health: as `frugalseg.information.clustering_health` gives it.
        losses: of the sub-heads, in nats.
        scores: as `frugalseg.information.agreement_scores` or, of a discovery,
            `frugalseg.evaluation.regions.region_scores` gives them; None without labels.
        task: "cluster" or "discover".
    """
    return {
        "format": FORMAT,
        "task": task,
        "what": {"command": command_line(), **what},
        "environment": environment(),
        "health": dict(health),
        "losses": [float(loss) for loss in losses],
        "scores": None if scores is None else dict(scores),
    }


def write_cluster_result(result: Mapping[str, Any], path: Path) -> None:
    """Write a result as JSON, whole or not at all.

    Raises:
        ValueError: it lacks something or holds a number that is not finite.
        FrugalsegError: the file cannot be written.
    """
    missing = _missing(result)
    if missing:
        raise ValueError(f"the result lacks {', '.join(missing)}")
    write_json(result, path)


def read_cluster_result(path: Path, task: str = TASK) -> dict[str, Any]:
    """Read a result file of a clustering or of a discovery.

    Args:
        path: the file.
        task: "cluster" or "discover".

    Raises:
        FrugalsegError: the file is missing, not JSON, of another kind, or lacks something.
    """
    again = "Evaluate the run again to make it."
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FrugalsegError(f"{path}: the result cannot be read ({error}). {again}") from error
    if not isinstance(result, dict) or result.get("task") != task:
        kind = {TASK: "clustering"}.get(task, "discovery")
        raise FrugalsegError(f"{path}: this is no result of a {kind}. {again}")
    missing = _missing(result)
    if missing:
        raise FrugalsegError(f"{path}: the result lacks {', '.join(missing)}. {again}")
    return result


def _missing(result: Mapping[str, Any]) -> list[str]:
    missing = [key for key in ("format", "losses", "scores") if key not in result]
    for part, keys in _REQUIRED.items():
        found = result.get(part)
        if not isinstance(found, Mapping):
            missing.append(part)
        else:
            missing += [f"{part}.{key}" for key in keys if key not in found]
    return missing


def _score(name: str) -> Callable[[dict[str, Any]], float | None]:
    def value(result: dict[str, Any]) -> float | None:
        return None if result["scores"] is None else result["scores"].get(name)

    return value


Columns = tuple[tuple[str, str, Callable[[dict[str, Any]], float | None]], ...]
COLUMNS: Columns = (
    ("accuracy", ".3f", _score("accuracy")),
    ("NMI", ".3f", _score("nmi")),
    ("ARI", ".3f", _score("ari")),
    ("loss", ".3f", lambda result: min(result["losses"], default=None)),
    ("clusters used", ".0f", lambda result: result["health"]["used"]),
    ("doubt", ".3f", lambda result: result["health"]["doubt"]),
)


REGION_COLUMNS: Columns = (
    ("accuracy", ".3f", _score("accuracy")),
    ("mIoU", ".3f", _score("miou")),
    ("one region", ".3f", _score("accuracy_of_one_region")),
    ("loss", ".3f", lambda result: min(result["losses"], default=None)),
    ("regions used", ".0f", lambda result: result["health"]["used"]),
    ("doubt", ".3f", lambda result: result["health"]["doubt"]),
)


def columns_of(results: Sequence[dict[str, Any]]) -> Columns:
    """The columns of a table of results, which are all of one task."""
    return COLUMNS if results[0].get("task", TASK) == TASK else REGION_COLUMNS


def group_cluster_seeds(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Group the results that differ by seed alone, in order of appearance."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        key = json.dumps([result["what"].get(name) for name in _SAME], default=str)
        groups.setdefault(key, []).append(result)
    grouped = []
    for group in groups.values():
        seeds = {result["what"]["seed"] for result in group}
        grouped += [group] if len(seeds) == len(group) else [[result] for result in group]
    return grouped


def cluster_table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: one row a group of results that differ by seed alone: mean, (least to greatest)."""
    columns = columns_of(results)
    header = ["run", "data", "trunk", "clusters", "seeds", *(name for name, _, _ in columns)]
    rows = []
    for group in group_cluster_seeds(results):
        what = group[0]["what"]
        words = [_title(group), what["data"], what.get("trunk", ""), what["clusters"], len(group)]
        rows.append([*map(str, words), *(spread_text(group, v, form) for _, form, v in columns)])
    rule = ["---" if i < 3 else "---:" for i in range(len(header))]
    lines = [header, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _title(group: Sequence[dict[str, Any]]) -> str:
    """What the runs of a row are called, without what tells their seeds apart."""
    what = group[0]["what"]
    names = {result["what"]["run"] for result in group}
    name = str(what["run"]).removesuffix(f"-{what['seed']}")
    told = str(what.get("variant") or "").partition(", ")[0]
    if any(not other.startswith(name) for other in names):
        name = f"{what['run']}, ..."
    return f"{name}, {told}" if told.endswith(" weights") else name
