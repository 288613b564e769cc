"""Train a run from one seed or several, keep the training of lowest loss, and say how it went."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar, Protocol

from frugalseg.evaluation.results import write_environment
from frugalseg.files import read_json_lines, write_whole
from frugalseg.information import mean_and_spread
from frugalseg.runs import config_hash, read_state, write_state
from frugalseg.task_runs import NEEDS, WEIGHTS, find_task_run, open_task_run
from frugalseg.training.agreement import AgreementTask
from frugalseg.training.hardware import Hardware, hardware, seed_everything
from frugalseg.weights import load_weights, save_weights

LOWEST = "lowest.st"  # in the checkpoints of a training: its weights of lowest loss
Judge = Callable[[Any], dict[str, Any]]  # of a task: "sub_head", "losses", "health", ...


class Restarted(Hardware, Protocol):
    """What this module reads of a configuration; it is a dataclass."""

    task: ClassVar[str]

    @property
    def restarts(self) -> int: ...
    @property
    def seed(self) -> int: ...


def state_of_run(folder: Path, config: Any, needs: Set[str] = NEEDS) -> dict[str, Any]:
    """What is there of a run; only the main process refuses a folder, as `find_task_run` does."""
    from frugalseg.training.fit import is_main_process

    if is_main_process():
        return find_task_run(folder, config, needs) or {}
    return read_state(folder, frozenset({"finished"})) if (folder / "state.json").exists() else {}


def begin_run(folder: Path, config: Any, needs: Set[str] = NEEDS) -> None:
    """Make the run's folder, or open it; what is on hand goes into environment.json."""
    from frugalseg.training.fit import is_main_process

    if is_main_process():
        open_task_run(folder, config, needs)
        write_environment(folder, seed=config.seed)


def train_seed(
    task: AgreementTask,
    config: Restarted,
    folder: Path,
    name: str,
    judge: Judge,
    progress: bool,
) -> dict[str, Any]:
    """Train a task; its weights lie in the checkpoints afterwards.

    Args:
        task: what to train.
        config: of the run.
        folder: of the run.
        name: of this training.
        judge: compares sub-heads without labels.
        progress: show a progress bar.

    Returns:
        "seed", "training", and what the judge says of the "last" weights and of the "lowest".
    """
    from frugalseg.training.fit import fit

    place = folder / "checkpoints" / name
    fit(task, folder, name, *hardware(config), progress)
    outcome: dict[str, Any] = {"seed": task.seed, "training": name}
    outcome["last"] = judge(task)
    save_weights(task.net, place, "last.st")
    outcome["lowest"] = {"step": int(task.best[1]), "probe_loss": float(task.best[0])}
    load_weights(task.net, place / LOWEST)
    outcome["lowest"] |= judge(task)
    save_weights(task.net, place, "settled.st")
    return outcome


def train_restarts(
    config: Restarted,
    folder: Path,
    plan: Any,
    groups: tuple[int, str],
    make: Callable[[int, Path], AgreementTask],
    judge: Judge,
    found: dict[str, Any],
    progress: bool,
    say: Callable[[str], None],
) -> None:
    """Train from every seed, keep the training of lowest loss, and finish the run.

    Args:
        config: of the run.
        folder: of the run.
        plan: of the run.
        groups: how many groups of what, such as (10, "clusters").
        make: the training from a seed, given the file that keeps its weights of lowest loss; called
            when random numbers are seeded.
        judge: compares sub-heads without labels.
        found: goes into the state beside what is chosen here.
        progress: show progress bars.
        say: is told, in words, what begins.
    """
    from frugalseg.training.fit import is_main_process

    outcomes = []
    for seed in range(config.seed, config.seed + config.restarts):
        name = f"{config.task}-{seed}" if config.restarts > 1 else config.task
        learning = "the heads" if plan.frozen else "trunk and heads"
        say(f"Training {learning}: {groups[0]} {groups[1]}")
        seed_everything(seed)
        task = make(seed, folder / "checkpoints" / name / LOWEST)
        outcomes.append(train_seed(task, config, folder, name, judge, progress))
    if is_main_process():
        finish_run(folder, config, plan, groups[0], outcomes, found)


def finish_run(
    folder: Path,
    config: Any,
    plan: Any,
    clusters: int,
    outcomes: Sequence[dict[str, Any]],
    found: dict[str, Any],
) -> None:
    """Keep the training of lowest loss; the run is finished when its state says so."""
    best = min(outcomes, key=lambda outcome: min(outcome["last"]["losses"]))
    place = folder / "checkpoints" / best["training"]
    for source, name in (("last.st", WEIGHTS["last"]), ("settled.st", WEIGHTS["lowest"])):
        write_whole((place / source).read_bytes(), folder / name)
    chosen = [min(outcome["last"]["losses"]) for outcome in outcomes]
    state = {
        "plan": dataclasses.asdict(plan),
        "clusters": clusters,
        **best["last"],
        "lowest": best["lowest"],
        "seed": best["seed"],
        "training": best["training"],
        "restarts": [{"seed": o["seed"], **o["last"]} for o in outcomes],
        "spread_over_restarts": mean_and_spread(chosen),
        "oracle": oracle_stop(folder, best["training"]),
        "config_hash": config_hash(config),
        **found,
        "finished": True,
    }
    write_state(folder, state)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def oracle_stop(folder: Path, training: str) -> dict[str, Any] | None:
    """The step of highest labelled accuracy, as published figures were chosen; for comparison only.

    Returns:
        "step" and "accuracy" of the best sub-head there, on what is watched; None where there are
        no labels.
    """
    lines = read_history(folder)
    known = [line for line in lines if line["training"] == training and "accuracy" in line]
    if not known:
        return None
    best = max(known, key=lambda line: max(line["accuracy"]))
    return {"step": best["step"], "accuracy": max(best["accuracy"])}


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl; none where it has not begun."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    return read_json_lines(path)
