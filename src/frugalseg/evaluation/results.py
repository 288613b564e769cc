"""Result files: one JSON an evaluation, and the tables made from them."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError
from frugalseg.files import write_json

FORMAT = 1

# What a result must hold, by part.
_REQUIRED: dict[str, tuple[str, ...]] = {
    "what": (
        *("command", "run", "data", "split", "images", "config_hash", "seed"),
        *("sampler", "size", "segmenter", "encoder", "trust", "steps"),
    ),
    "environment": ("frugalseg", "torch", "date"),
    "scores": ("iou", "miou", "absent", "pixel_accuracy", "bands", "objects"),
    "cost": ("multiply_adds", "not_counted", "seconds", "peak_memory_bytes"),
}

# Runs that share these differ by seed alone. The trust is left out, for it is chosen for each run.
_SAME = ("data", "split", "sampler", "size", "segmenter", "encoder", "steps")


def write_result(result: dict[str, Any], path: Path | str) -> None:
    """Write a result as JSON, whole or not at all.

    Args:
        result: "format", "what" was run, the "environment", "scores" as `summarise` gives them,
            "cost", "folded_cells" (share, 0 to 1) and "pixels_read".
        path: file to write; its folder is made where missing.

    Raises:
        ValueError: the result lacks something or holds a number that is not finite.
        FrugalsegError: the file cannot be written.
    """
    missing = _missing(result)
    if missing:
        raise ValueError(f"the result lacks {', '.join(missing)}")
    write_json(result, path)


def read_result(path: Path | str) -> dict[str, Any]:
    """Read a result file.

    Raises:
        FrugalsegError: the file is missing, not JSON, of another format, or lacks something.
    """
    path = Path(path)
    again = "Evaluate the run again to make it."
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FrugalsegError(
            f"{path}: the result cannot be read ({error.strerror or error}). {again}"
        ) from error
    except ValueError as error:
        raise FrugalsegError(f"{path}: this is not a JSON file ({error}). {again}") from error
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise FrugalsegError(f"{path}: this is not a result file of format {FORMAT}. {again}")
    missing = _missing(result)
    if missing:
        raise FrugalsegError(f"{path}: the result lacks {', '.join(missing)}. {again}")
    return result


def _missing(result: dict[str, Any]) -> list[str]:
    missing = [key for key in ("format", "folded_cells", "pixels_read") if key not in result]
    for part, keys in _REQUIRED.items():
        if not isinstance(result.get(part), dict):
            missing.append(part)
            continue
        missing += [f"{part}.{key}" for key in keys if key not in result[part]]
    for part, inner in (("multiply_adds", "total"), ("seconds", "total")):
        if inner not in result.get("cost", {}).get(part, {inner: 0}):
            missing.append(f"cost.{part}.{inner}")
    return missing


def environment() -> dict[str, Any]:
    """What this process runs on: versions, hardware, threads, date, git commit where there is one.

    Returns:
        JSON-able: python, frugalseg, torch, numba, numpy, platform, cpu, cores (that this process
        may use), threads (of torch), gpu (name or None), date (ISO 8601, UTC), git (commit of the
        checkout that is the current directory, "+" after it where tracked files differ, or None).
    """
    import torch

    versions = {name: _version(name) for name in ("frugalseg", "torch", "numba", "numpy")}
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "python": platform.python_version(),
        **versions,
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "git": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def run_label(result: dict[str, Any]) -> str:
    """Sampler and points, such as "density 64x64"."""
    height, width = result["what"]["size"]
    return f"{result['what']['sampler']} {height}x{width}"


def group_seeds(results: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Group the results that differ by seed alone, in order of appearance.

    Results belong together when data, split, sampler, size, segmenter, encoder and steps agree
    (and "variant", which a result may hold under "what" to be told apart). Where a seed comes twice
    among them they differ by something else, and each stands alone.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        what = result["what"]
        key = json.dumps([what[name] for name in _SAME] + [what.get("variant")])
        groups.setdefault(key, []).append(result)
    grouped = []
    for group in groups.values():
        seeds = {result["what"]["seed"] for result in group}
        grouped += [group] if len(seeds) == len(group) else [[result] for result in group]
    return grouped


def mean_and_range(
    group: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float | None]
) -> tuple[float, float, float] | None:
    """Mean, least and greatest value over a group; None where no result has one."""
    values = [number for number in map(value, group) if number is not None]
    return (sum(values) / len(values), min(values), max(values)) if values else None


_COLUMNS: tuple[tuple[str, str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("mIoU all", ".3f", lambda result: result["scores"]["miou"]["all"]),
    ("mIoU target", ".3f", lambda result: result["scores"]["miou"]["target"]),
    ("M multiply-adds", ".0f", lambda result: result["cost"]["multiply_adds"]["total"] / 1e6),
    ("seconds an image", ".4f", lambda result: result["cost"]["seconds"]["total"]),
)


def markdown_table(results: Sequence[dict[str, Any]]) -> str:
    """One row a result: run, sampler, points, seed, mIoU, total multiply-adds, seconds an image."""
    header = ["run", "sampler", "points", "seed", *(name for name, _, _ in _COLUMNS)]
    rows = []
    for result in results:
        what = result["what"]
        points = "x".join(map(str, what["size"]))
        numbers = [spread_text([result], value, form) for _, form, value in _COLUMNS]
        rows.append([what["run"], what["sampler"], points, str(what["seed"]), *numbers])
    return _markdown(header, rows, words=3)


def markdown_table_over_seeds(results: Sequence[dict[str, Any]]) -> str:
    """One row a group of results that differ by seed alone: mean, and (least to greatest)."""
    header = ["sampler", "points", "seeds", *(name for name, _, _ in _COLUMNS)]
    rows = []
    for group in group_seeds(results):
        what = group[0]["what"]
        points = "x".join(map(str, what["size"]))
        numbers = [spread_text(group, value, form) for _, form, value in _COLUMNS]
        rows.append([what["sampler"], points, str(len(group)), *numbers])
    note = "\nMean over seeds; in brackets the least and the greatest.\n"
    return _markdown(header, rows, words=2) + note


def spread_text(
    group: Sequence[dict[str, Any]],
    value: Callable[[dict[str, Any]], float | None],
    form: str,
) -> str:
    """The cell of a table: mean (least to greatest) of a group in a number format, or "none"."""
    numbers = mean_and_range(group, value)
    if numbers is None:
        return "none"
    mean, least, greatest = (format(number, form) for number in numbers)
    return mean if least == greatest else f"{mean} ({least} to {greatest})"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """A Markdown table whose first `words` columns are words and whose others are numbers."""
    rule = ["---" if i < words else "---:" for i in range(len(header))]
    lines = [header, rule, *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def write_environment(folder: Path, **more: Any) -> None:
    """Write a run's environment.json: versions, hardware, date, and what else is told."""
    write_json({**environment(), **more}, folder / "environment.json")


def command_line() -> str:
    """The command that runs now, for a result's "command"; of absolute paths only the names."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    if words[0] == "__main__.py" and module is not None:  # of "python -m PACKAGE"
        words[0] = f"python -m {module.name.removesuffix('.__main__')}"
    return " ".join(words)
