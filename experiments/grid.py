"""Runs over a grid of settings and seeds, of any task: trained, scored, in one table and one curve.

What is done already is not done again.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from experiments.published import Numbers, load_settings, read_options
from experiments.results import find_result, make_once
from experiments.summary import write_summary
from frugalseg.console import log
from frugalseg.engine.config import Names, Options, TrainingConfig, option_value
from frugalseg.engine.results import Result
from frugalseg.tasks import TASKS, base
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.data import read_through
from frugalseg.tasks.segment.evaluate import samples_to_score

Parts = Callable[[Any, Any, str], dict[str, Any]]
SEGMENT = SegmentConfig()
NONE: dict[str, Any] = {}


def grid(
    data: Path,
    /,
    *,
    settings: str,
    out: Path,
    runs: Path = Path("runs"),
    set_: Annotated[Options, Parameter(name="--set")] = NONE,
    vary: Options = NONE,
    seeds: Numbers = (0,),
    split: str | None = None,
    name: str | None = None,
) -> str:
    """Train and score runs of any task over a grid of settings and seeds.

    Args:
        data: What the task's command is given: a folder of images, or a clustering to fine-tune.
        settings: YAML file, or the name of one in experiments/settings, or a task for its defaults.
        out: Folder of the result files, table.md and curve.svg.
        runs: Folder of the runs.
        set_: A setting in place of the file's, as YAML, such as --set.steps 500.
        vary: Values of a setting, such as --vary.size 32x32,64x64.
        seeds: Each combination is trained with each.
        split: Images that are scored; by default those that the task scores.
        name: What the names of the runs begin with; by default the name of the settings.
    """
    config = load_settings(settings, str(data), read_options(set_))
    values = {key.replace("-", "_"): _values(value) for key, value in vary.items()}
    begins = Path(settings).stem if name is None else name
    return run_grid(Grid(config, out, runs, values, seeds, split, begins))


def study(
    data: Path,
    /,
    *,
    out: Path,
    samplers: Names = ("uniform", "density"),
    sizes: Names = ("64x64",),
    seeds: Numbers = (0,),
    split: str = "val",
    runs: Path = Path("runs"),
    config: SegmentConfig = SEGMENT,
) -> str:
    """Train and score each sampler with each number of points and each seed.

    Args:
        data: Folder of images and masks.
        out: Folder of the result files, table.md and curve.svg.
        samplers: May be given several times.
        sizes: Points as ROWSxCOLUMNS; may be given several times.
        seeds: May be given several times.
        split: The split to report on: train, val or test.
        runs: Folder of the runs.
    """
    config = dataclasses.replace(config, data=str(data))
    vary = {"sampler": samplers, "size": sizes}
    return run_grid(Grid(config, out, runs, vary, seeds, split))


def _values(text: Any) -> list[Any]:
    """Values of a setting: a YAML list, or words between commas."""
    value = option_value(text)
    if isinstance(value, str):
        return [option_value(word) for word in value.split(",")]
    return list(value) if isinstance(value, tuple) else [value]


@dataclass(frozen=True)
class Grid:
    """What is trained and compared.

    Attributes:
        config: settings that all runs share; its class says which task.
        out: folder of the result files, one a run, of ``table.md`` and ``curve.svg``.
        runs: folder of the runs.
        vary: values by setting, as YAML has them; every combination is trained.
        seeds: seeds of each.
        split: which images are scored; by default those that the task scores.
        name: what the names of all runs begin with.
    """

    config: TrainingConfig
    out: Path
    runs: Path
    vary: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: Sequence[int] = (0,)
    split: str | None = None
    name: str = ""


def run_grid(grid: Grid, data: Any | None = None) -> str:
    """Train and score every combination that has no result yet.

    Args:
        grid: what is trained.
        data: what all configurations name, if it is open already.

    Returns:
        The table, means over seeds.

    Raises:
        FrugalsegError: a combination cannot be trained or scored (known before any training), a
            result is of other settings, or what training raises.
    """
    # whole rounds, so that an interrupted grid compares like with like
    points = [_point(grid, values, seed) for seed in grid.seeds for values in _combinations(grid)]
    missing = [point for point in points if find_result(*point, grid.split) is None]
    opened: dict[str, Any] = {}  # runs that differ by seed alone share their data
    read: list[Any] = []
    for config, path in missing:
        if (name := _without_seed(path)) not in opened:
            opened[name] = _check(config, data, grid.split, read)
    for config, path in missing:
        train_and_score(config, path, grid.runs, grid.split, opened[_without_seed(path)])
        write_summary(grid.out)
    return write_summary(grid.out)


def _without_seed(path: Path) -> str:
    return path.stem.rpartition("-")[0]


def _combinations(grid: Grid) -> list[dict[str, Any]]:
    return [
        dict(zip(grid.vary, values, strict=True))
        for values in itertools.product(*grid.vary.values())
    ]


def _point(grid: Grid, values: Mapping[str, Any], seed: int) -> tuple[TrainingConfig, Path]:
    """A configuration of the grid, and its result file."""
    settings = {**grid.config.plain(), **values, "seed": seed}
    config = type(grid.config).from_values(settings, "The grid")
    plain = config.plain()
    words = [_word(name, plain[name]) for name in values]
    return config, grid.out / f"{'-'.join(filter(None, (grid.name, *words, str(seed))))}.json"


def _word(name: str, value: Any) -> str:
    """What the value of a setting is called in the names of files."""
    if isinstance(value, bool):
        return name if value else f"not_{name}"
    values = value if isinstance(value, list) else [value]
    return "+".join(f"{v:g}" if isinstance(v, float) else Path(str(v)).name for v in values)


def _check(config: TrainingConfig, data: Any | None, split: str | None, read: list[Any]) -> Any:
    """Refuse what cannot be trained or scored; the data, open.

    Args:
        config: of a run.
        data: what it names, if it is open already.
        split: that is scored.
        read: samples whose files were read to the end already; grows.
    """
    task = TASKS[config.task]
    data = task.open_data(config) if data is None else data
    task.resolve(config, data, None)
    if config.task == "segment":
        samples = samples_to_score(data, split or "val")
        if samples not in read:
            log.info(f"Reading the {len(samples)} images to score on")
            read_through(samples, data.classes)
            read.append(samples)
    elif split is not None:
        data.indices(split)
    return data


def train_and_score(
    config: TrainingConfig,
    path: Path,
    runs: Path,
    split: str | None = None,
    data: Any | None = None,
    parts: Parts = lambda run, data, split: {},
    also: Mapping[str, Any] | None = None,
) -> Result:
    """Train a run and score it, or read its result if there is one.

    Args:
        config: of the run.
        path: the result file; the run is called as it.
        runs: folder of the runs.
        split: which images are scored; by default those that the task scores.
        data: what the configuration names, if it is open already.
        parts: measures more of a run, its data and the split; goes into the result.
        also: what else decides the result, beside the settings.

    Raises:
        FrugalsegError: the result is of other settings, or what training raises.
    """
    task = TASKS[config.task]

    def make() -> Result:
        _, folder, opened = base.train_only(config, runs / path.stem, data=data)
        run = task.load(folder.path, None)
        result = base.own_result(task, run, split, opened)
        seconds = sum(line.get("seconds", 0.0) for line in folder.history())
        more = {"training_seconds": round(seconds, 1), "oracle": folder.state().get("oracle")}
        more |= parts(run, opened, str(result.what["split"]))
        return dataclasses.replace(result, parts={**result.parts, **more})

    return make_once(config, path, make, split, also)
