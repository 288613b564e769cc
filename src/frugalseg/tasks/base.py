"""The commands, common to all tasks: train, predict, evaluate, compare, suggest.

A task is a :class:`Task`, entered in :data:`frugalseg.tasks.TASKS`. The functions here look up the
task of a run and call its own functions.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from frugalseg._memory import tune_malloc
from frugalseg.console import log
from frugalseg.engine.config import OWN, TrainingConfig
from frugalseg.engine.environment import is_main_process
from frugalseg.engine.results import Result, ResultKind, read_result, results_table, write_result
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError, printable
from frugalseg.files import folder_name, same_path, write_csv
from frugalseg.registry import import_object
from frugalseg.tasks import TASKS
from frugalseg.tasks.names import data_name, label_name, name_files

Files = Sequence[tuple[Path, str]]  # image files, and the name of what is written for each
Options = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A kind of run: everything that the commands need to know about it.

    Attributes:
        config: the class of its configurations.
        result: the contents of its results.
        default_folder: the folder of a run if none is named, from its configuration.
        open_data: opens the data that a configuration names.
        resolve: fills in the settings that a configuration leaves to the data; it also takes a
            network that is handed in.
        train: where the function is that trains a resolved configuration or resumes it, as
            ``"package.module:function"``: it needs Lightning, which takes a second to import.
        load: loads a finished run; it also takes the network that was handed in to train it.
        export: writes the report and answers for the run's own images; returns the result, if any.
        predict: answers for new files and writes the answers; returns a sentence for each broken
            file.
        open_scored: opens the data to score on: the run's own or others, with further options.
        default_split: the split to score if none is named, of other data or (None) the run's own.
        evaluate: scores a run on a split.
        details: text to print below the table of a result.
        network_option: the setting that a network handed in replaces; None if the task takes none.
        keep_suffix: whether answers keep the suffix of an image in their names.
        predict_options, evaluate_options: names of the options that not every task has. Those of
            evaluation name labels or masks other than the run's own, and appear in result names.
        compare: writes a page about several runs; None if the task has no comparison.
        suggest: images to label next, all if there are fewer than wanted, and why; None if the task
            suggests none.
        suggest_columns: columns of the table of suggestions, to be filled in.
        after_suggest: how to use the table; a format string with `run` and `table`.
    """

    config: type[TrainingConfig]
    result: ResultKind
    default_folder: Callable[[Any], Path]
    open_data: Callable[[Any], Any]
    resolve: Callable[[Any, Any, nn.Module | None], Any]
    train: str
    load: Callable[[Path, nn.Module | None], Any]
    export: Callable[[Any, Any], Result | None]
    predict: Callable[[Any, Files, Path, Options], Sequence[str]]
    open_scored: Callable[[Any, str | None, Options], Any]
    default_split: Callable[[Any, Any | None], str]
    evaluate: Callable[[Any, Any, str, Options], Result]
    details: Callable[[Result], str]
    network_option: str | None = None
    keep_suffix: bool = True
    predict_options: frozenset[str] = frozenset()
    evaluate_options: frozenset[str] = frozenset()
    compare: Callable[[Sequence[Any], Sequence[Result], str | None, Path, int], None] | None = None
    suggest: Callable[[Any, int], Sequence[tuple[str, str]]] | None = None
    suggest_columns: tuple[str, ...] = ("file", "label", "why")
    after_suggest: str = ""

    @property
    def name(self) -> str:
        return self.config.task


def task_of(folder: Path | str) -> Task:
    """The task of a run.

    Raises:
        FrugalsegError: the folder is not a run, or its task is unknown to this version.
    """
    name = RunDir(folder).task
    if name not in TASKS:
        raise FrugalsegError(
            f"{folder} is a run of the task {name!r}, which this version does not know."
        )
    task: Task = TASKS[name]
    return task


def load(folder: Path | str, network: nn.Module | None = None) -> Any:
    """Load a finished run, ready to predict.

    Args:
        folder: the run's folder.
        network: the network that was handed in to train the run, if any.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, its weights do not fit, or a network
            is handed in to a run that was trained without one, or the other way round.
    """
    task = task_of(folder)
    if network is not None and task.network_option is None:
        raise FrugalsegError(f"{folder} is a run of '{task.name}': none can be handed in.")
    return task.load(Path(folder), network)


def train(
    config: TrainingConfig, folder: Path | None = None, network: nn.Module | None = None
) -> Any:
    """Train a run, or resume an unfinished one; then evaluate it and write its report.

    Args:
        config: the configuration; its class determines the task.
        folder: the run's folder; by default one below ``runs/``.
        network: your own network in place of the one that the configuration names.

    Returns:
        The loaded run; None in processes that only help to train.

    Raises:
        FrugalsegError: an error that the user can fix; all that can be checked is checked before
            the folder is made and training starts.
    """
    task, run, data = train_only(config, folder, network)
    if not is_main_process():
        return None
    loaded = task.load(run.path, network)
    result = task.export(loaded, data)
    if result is not None:
        _print_result(task, result)
    log.info(f"The run is in {run}. Next: frugalseg predict {run} IMAGES")
    return loaded


def train_only(
    config: TrainingConfig,
    folder: Path | None = None,
    network: nn.Module | None = None,
    data: Any | None = None,
) -> tuple[Task, RunDir, Any]:
    """Train a run, or resume an unfinished one; leave a finished one alone.

    Args:
        config, folder, network: as in :func:`train`.
        data: the data that the configuration names, if they are open already.

    Returns:
        The task, the run and its data.

    Raises:
        FrugalsegError: as in :func:`train`.
    """
    from frugalseg.engine.trainer import check_hardware  # only training waits for Lightning

    tune_malloc()
    task: Task = TASKS[config.task]
    config.check()
    check_hardware(config)
    if network is not None:
        config = _with_own_network(task, config)
    if data is None:
        data = task.open_data(config)
        for problem in data.problems:
            log.warning(problem)
    run = RunDir(folder or task.default_folder(config), config, data)
    resolved = task.resolve(config, data, network)
    if _is_finished(run):
        log.info(f"{run} is finished already.")
    else:
        import_object(task.train)(resolved, data, run, network)
    return task, run, data


def _with_own_network(task: Task, config: TrainingConfig) -> TrainingConfig:
    """The configuration of a run whose network is handed in from Python."""
    option = task.network_option
    if option is None:
        raise FrugalsegError(f"'{task.name}' takes no network of one's own: leave it out.")
    named = getattr(config, option)
    if named not in (OWN, getattr(type(config)(), option)):
        raise FrugalsegError(
            f"The {option} {named} is asked for by name and another is handed in: "
            "leave one of them out."
        )
    own: Any = {option: OWN}
    return dataclasses.replace(config, **own)


def _is_finished(run: RunDir) -> bool:
    if is_main_process():  # it reports errors
        state = run.find()
        return state is not None and state.get("finished") is True
    return (run.path / "state.json").exists() and run.state()["finished"] is True


def predict(
    folder: Path | str,
    inputs: Sequence[Path | str],
    out: Path | str | None = None,
    **options: Any,
) -> list[str]:
    """Answer for new images and write the answers; skip broken images and fail at the end.

    Args:
        folder: of a finished run.
        inputs: image files, folders of images, or patterns such as ``photos/*.jpg``.
        out: the folder to write to; by default ``predictions`` below the run.
        options: of the task.

    Returns:
        The names of the images.

    Raises:
        FrugalsegError: nothing can be predicted, or some images could not be read.
    """
    tune_malloc()
    folder, task = Path(folder), task_of(folder)
    options = _options_of(task, folder, options, task.predict_options)
    out = folder / "predictions" if out is None else Path(out)
    files = name_files([Path(path) for path in inputs], task.keep_suffix)
    problems = task.predict(task.load(folder, None), files, out, options)
    for problem in problems:
        log.warning(problem)
    log.info(f"{len(files) - len(problems)} of {len(files)} images predicted, in {out}.")
    if problems:
        raise FrugalsegError(f"{len(problems)} of {len(files)} images could not be read (above).")
    return [name for _, name in files]


def evaluate(
    folder: Path | str, data: Path | str | None = None, split: str | None = None, **options: Any
) -> Result:
    """Score a run, write ``results/DATA-SPLIT.json`` and print a table.

    Args:
        folder: of a finished run.
        data: the folder to score on; by default the run's own data.
        split: the images to score on; by default chosen by the task.
        options: of the task, such as ``labels`` or ``masks``.

    Raises:
        FrugalsegError: there is nothing to score by, or an option belongs to another task.
    """
    tune_malloc()
    task = task_of(folder)
    options = _options_of(task, folder, options, task.evaluate_options)
    run = task.load(Path(folder), None)
    other = None if data is None or same_path(data, run.config.data) else str(data)
    scored = task.open_scored(run, other, options)
    for problem in scored.problems:
        log.warning(problem)
    split = split or task.default_split(run, None if other is None else scored)
    result = task.evaluate(run, scored, split, options)
    name = f"{data_name(run.config.data, data)}-{result.what['split'].replace(' ', '-')}"
    for option in options:
        name += label_name(option, getattr(run.config, option, None), options[option])
    path = run.dir.result_path(name)
    write_result(result, path)
    _print_result(task, result)
    log.info(f"Written: {path}")
    return result


def compare(
    folders: Sequence[Path | str],
    split: str | None = None,
    out: Path | str = "comparison.html",
    images: int = 4,
) -> list[Result]:
    """Compare runs of one task on the same data; evaluate those that are not yet evaluated.

    Args:
        folders: of finished runs.
        split: the images to compare on; by default chosen by the task.
        out: the HTML page to write.
        images: how many images to show.

    Raises:
        FrugalsegError: the runs are of different tasks or data, or their task has no comparison.
    """
    tune_malloc()
    out = Path(out)
    if out.suffix.lower() not in (".html", ".htm"):
        raise FrugalsegError(f"{out}: the page is HTML, give a name that ends in .html.")
    tasks = [task_of(folder) for folder in folders]
    for folder, task in zip(folders, tasks, strict=True):
        if task.compare is None:
            raise FrugalsegError(
                f"{folder} is a run of '{task.name}': give 'frugalseg evaluate' for each of them."
            )
        if task is not tasks[0]:
            raise FrugalsegError(
                f"{folders[0]} and {folder} are runs of different tasks: compare runs of one."
            )
    task = tasks[0]
    assert task.compare is not None
    runs = [task.load(Path(folder), None) for folder in folders]
    for run in runs:
        own, other = folder_name(runs[0].config.data), folder_name(run.config.data)
        if own != other:
            raise FrugalsegError(
                f"{runs[0].dir} was trained on {own}, {run.dir} on {other}: "
                "compare runs on one data set."
            )
    results = [own_result(task, run, split) for run in runs]
    task.compare(runs, results, split, out, images)
    print(results_table(results, images=True), end="")
    log.info(f"Written: {out}")
    return results


def own_result(task: Task, run: Any, split: str | None = None, data: Any | None = None) -> Result:
    """The result of a run on a split of its own data, read from its file or evaluated now.

    Args:
        task: of the run.
        run: the loaded run.
        split: the images to score on; by default chosen by the task.
        data: the run's own data, if they are open already.

    Raises:
        FrugalsegError: the file is damaged, or there is nothing to score by.
    """
    split = split or task.default_split(run, None)
    name = f"{data_name(run.config.data, None)}-{split.replace(' ', '-')}"
    path = run.dir.result_path(name)
    if not path.exists():
        log.info(f"Evaluating {run.dir} on {split}")
        scored = task.open_scored(run, None, {}) if data is None else data
        write_result(task.evaluate(run, scored, split, {}), path)
    return read_result(path, task.result)


def suggest(
    folder: Path | str, number: int = 20, out: Path | str | None = None
) -> list[tuple[str, str]]:
    """Print the images whose labels would help most, and write them as a table to fill in.

    Args:
        folder: of a finished run.
        number: of images to suggest.
        out: the table to write; by default ``to_label.csv`` in the run.

    Returns:
        The name of each image, and why it is suggested.

    Raises:
        FrugalsegError: the task suggests nothing, or there are fewer images.
    """
    folder, task = Path(folder), task_of(folder)
    if task.suggest is None:
        raise FrugalsegError(f"{folder} is a run of '{task.name}': there is nothing to suggest.")
    if number < 1:
        raise FrugalsegError(f"number={number} is out of range: it must be at least 1.")
    run = task.load(folder, None)
    suggested = list(task.suggest(run, number))
    if len(suggested) < number:
        raise FrugalsegError(
            f"number={number} is out of range: {run.config.data} has {len(suggested)} images."
        )
    out = folder / "to_label.csv" if out is None else Path(out)
    for name, why in suggested:
        print(printable(f"{name}\t{why}"))
    rows = [{"file": name, "why": why} for name, why in suggested]
    columns = task.suggest_columns
    write_csv([columns, *([row.get(column, "") for column in columns] for row in rows)], out)
    log.info(task.after_suggest.format(run=folder, table=out))
    return suggested


def _print_result(task: Task, result: Result) -> None:
    print(results_table([result], images=True) + task.details(result), end="")


def _options_of(
    task: Task, folder: Path | str, options: Options, known: frozenset[str]
) -> dict[str, Any]:
    """All options that a task knows, sorted; None if not set. Refuse those of other tasks."""
    for name, value in options.items():
        if value is not None and name not in known:
            option = name.replace("_", "-")
            raise FrugalsegError(
                f"{folder} is a run of '{task.name}': --{option} is of no use here."
            )
    return {name: options.get(name) for name in sorted(known)}
