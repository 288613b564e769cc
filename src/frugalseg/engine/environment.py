"""The devices, versions and hardware that a process runs on, and the seed of its random numbers."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

from frugalseg.engine.config import TrainingConfig

if typing.TYPE_CHECKING:
    import torch


def hardware(config: TrainingConfig) -> tuple[int | str, int, str]:
    """Devices, machines and number format, as Lightning takes them."""
    devices = int(config.devices) if config.devices.isdigit() else config.devices
    return devices, config.nodes, config.precision


def default_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_main_process() -> bool:
    """Whether this process writes the files, if several train together."""
    from frugalseg.engine._lightning import rank_zero_only

    return int(getattr(rank_zero_only, "rank", 0) or 0) == 0


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    from frugalseg.engine._lightning import lightning

    lightning.seed_everything(seed, verbose=False)


def environment() -> dict[str, Any]:
    """Describe this process: versions, hardware, threads, date and git commit.

    Returns:
        Plain values for JSON: python, frugalseg, torch, numba, numpy, platform, cpu, cores (that
        this process may use), threads (of torch), gpu (name or None), date (ISO 8601, UTC), git
        (the commit of the current directory, with "+" if tracked files have changed; None if it is
        not a checkout).
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


def command_line() -> str:
    """The command of this process, for a result's "command"; absolute paths become names."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    if words[0] == "__main__.py" and module is not None:  # of "python -m PACKAGE"
        words[0] = f"python -m {module.name.removesuffix('.__main__')}"
    return " ".join(words)
