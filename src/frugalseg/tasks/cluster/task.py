"""The task of grouping whole images without labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalseg.console import log
from frugalseg.data.formats.image_folder import open_files
from frugalseg.data.image_set import ImageSet, find_duplicates, refuse_equal_images
from frugalseg.engine.results import Result, write_result
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_text
from frugalseg.tasks.base import Files, Options, Task
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import config_to_score, open_data, resolve
from frugalseg.tasks.cluster.evaluate import Answers, scores
from frugalseg.tasks.cluster.export import read_assignments, write_choices
from frugalseg.tasks.cluster.predict import ClusterRun, answer_images
from frugalseg.tasks.cluster.report import ClusterReport, cluster_page
from frugalseg.tasks.cluster.suggest import suggest
from frugalseg.tasks.iic.diagnostics_text import diagnostics_lines
from frugalseg.tasks.iic.report import (
    agreement_table,
    kept_histories,
    report_fields,
    result_kind,
    write_comparison,
)
from frugalseg.tasks.names import default_run_folder

RESULT = result_kind(
    "cluster", "clusters", (("accuracy", "accuracy"), ("NMI", "nmi"), ("ARI", "ari"))
)


def open_checked(config: ClusterConfig) -> ImageSet:
    """The images of a configuration, with a word on those that come twice."""
    images = open_data(config)
    refuse_equal_images(images)
    groups = find_duplicates(images)
    if groups:
        names = ", ".join(images.names[i] for i in groups[0][:3])
        log.info(f"Images that are the same file ({len(groups)}), such as {names}: see the report.")
    return images


def export(run: ClusterRun, images: ImageSet) -> Result:
    """Write assignments.csv, report.html and the result of the images a run has learned from."""
    folder, split = run.dir.path, run.config.split
    result = _write_answers(run, images, split, folder, learned=True)
    write_result(result, run.dir.result_path(f"{images.name}-{split}"))
    log.info(
        f"The groups: {folder / 'report.html'} to look at, {folder / 'assignments.csv'} to use."
    )
    return result


def predict(run: ClusterRun, files: Files, out: Path, options: Options) -> Sequence[str]:
    """Assign new images to the clusters: assignments.csv and report.html."""
    images = open_files(files[0][0].parent, files)
    _write_answers(run, images, "all", out, learned=False)
    return images.problems


def open_scored(run: ClusterRun, data: str | None, options: Options) -> ImageSet:
    """The images that a run is scored on, its own or others, with their labels or others."""
    return open_data(config_to_score(run.config, data, options))


def evaluate(run: ClusterRun, images: ImageSet, split: str, options: Options) -> Result:
    """Score a run against labels, if there are any.

    Raises:
        FrugalsegError: labels are asked for and there are none.
    """
    result = result_of(run, answer_images(run, images, split), images, split)
    if result.scores is None and "labels" in options:
        raise FrugalsegError(
            f"{images.name} has no labels to score against: give --labels CSV (file,label), or "
            "--labels folders if sub-folders are the labels."
        )
    return result


def compare(
    runs: Sequence[ClusterRun],
    results: Sequence[Result],
    split: str | None,
    out: Path,
    images: int,
) -> None:
    """Write a page that compares clusterings of the same images."""
    histories = kept_histories(runs)
    assigned = {
        name: read_assignments(run.dir.path / "assignments.csv")
        for name, run in zip(histories, runs, strict=True)
        if (run.dir.path / "assignments.csv").exists()
    }
    write_comparison(results, agreement_table(assigned), list(assigned), out, histories)


def suggest_images(run: ClusterRun, number: int) -> list[tuple[str, str]]:
    """Images whose labels would name the most others, and why; all if there are fewer."""
    answers = answer_images(run, open_data(run.config), run.config.split)
    return [(answers.names[index], why) for index, why in suggest(answers, number)]


def result_of(run: ClusterRun, answers: Answers, images: ImageSet, split: str) -> Result:
    """The result of a run on a split: diagnostics, losses, and scores if there are labels.

    Args:
        run: the run.
        answers: of :func:`answer_images`.
        images: the set.
        split: the answered images.
    """
    labelled = answers.labels is not None and bool((answers.labels >= 0).any())
    found = scores(answers) if labelled else None
    return run.result(RESULT, images, split, found, answers.diagnostics)


def _write_answers(
    run: ClusterRun, images: ImageSet, split: str, out: Path, learned: bool
) -> Result:
    """Write assignments.csv and report.html; if `learned`, the page shows the training too."""
    answers = answer_images(run, images, split)
    result = result_of(run, answers, images, split)
    names = answers.cluster_names if result.scores is not None else ()
    write_choices(answers.names, answers.probabilities, out / "assignments.csv", titles=names)
    config = run.config
    training = f"{config.steps} steps of {config.batch_size} images in {config.num_views} views"
    report = ClusterReport(
        title=f"{images.name}: {run.clusters} clusters",
        answers=answers,
        read=lambda side, chosen: images.read_all(side, answers.indices[chosen]),
        side=max(24, int(images.sizes[answers.indices].min())),
        duplicates=_duplicates(images, answers.indices),
        problems=images.problems,
        **report_fields(run, result, training, learned),
    )
    write_text(cluster_page(report), out / "report.html")
    return result


def _duplicates(images: ImageSet, indices: NDArray[np.int64]) -> list[list[int]]:
    """Groups of equal files, as positions in the split."""
    position = {int(index): i for i, index in enumerate(indices)}
    groups = [[position[i] for i in group if i in position] for group in find_duplicates(images)]
    return [group for group in groups if len(group) > 1]


TASK = Task(
    config=ClusterConfig,
    result=RESULT,
    default_folder=lambda config: default_run_folder(config, "clusters", config.clusters),
    open_data=open_checked,
    resolve=resolve,
    train="frugalseg.tasks.cluster.train:train",
    load=ClusterRun.load,
    export=export,
    predict=predict,
    open_scored=open_scored,
    default_split=lambda run, other: run.config.split if other is None else "all",
    evaluate=evaluate,
    network_option="backbone",
    details=lambda result: diagnostics_lines(result, "images"),
    evaluate_options=frozenset({"labels"}),
    compare=compare,
    suggest=suggest_images,
    after_suggest="Fill the column 'label' of {table}, then: "
    "frugalseg evaluate {run} --labels {table}",
)
