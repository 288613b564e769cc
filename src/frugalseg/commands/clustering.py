"""The commands of clustering runs."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import ClusterConfig, ClusterRun, load_cluster_run
from frugalseg.commands.common import (
    data_name,
    label_name,
    named,
    progress,
    result_path,
    same_data,
    same_place,
    say,
)
from frugalseg.errors import FrugalsegError


def cluster(data: Path, folder: Path | None, config: ClusterConfig) -> None:
    """Train a run, and write what it makes of its images."""
    from frugalseg.data.duplicates import refuse_equal_images
    from frugalseg.reports.cluster_files import write_cluster_files
    from frugalseg.training.cluster import train_clustering
    from frugalseg.training.fit import is_main_process

    config = dataclasses.replace(config, data=str(data))
    if folder is None:
        folder = Path("runs") / f"{data.resolve().name}-clusters-{config.clusters}-{config.seed}"
    images = _open(config)
    refuse_equal_images(images)
    _say_problems(images)
    _say_batch(config, images)
    train_clustering(config, folder, sys.stderr.isatty(), say, images)
    if not is_main_process():
        return
    run = load_cluster_run(folder)
    result = write_cluster_files(run, images, config.split, folder, _bar)
    _print([result])
    say(f"The groups: {folder / 'report.html'} to look at, {folder / 'assignments.csv'} to use.")
    say(f"The run is in {folder}. Next: frugalseg predict {folder} IMAGES")


def predict(folder: Path, inputs: Sequence[Path], out: Path | None) -> None:
    """Assign new images to the clusters of a run; broken ones are named, the rest goes on."""
    from frugalseg.data.folder import list_images
    from frugalseg.data.image_folder import open_files
    from frugalseg.reports.cluster_files import write_cluster_files

    run = load_cluster_run(folder)
    out = folder / "predictions" if out is None else out
    files = named(inputs, list_images, with_suffix=True)
    images = open_files(inputs[0], files, lambda items: progress(items, "images"))
    for problem in images.problems:
        say(f"frugalseg: {problem}")
    write_cluster_files(run, images, "all", out, _bar, results=False)
    say(f"{len(images)} of {len(files)} images assigned, in {out}.")
    if images.problems:
        raise FrugalsegError(
            f"{len(images.problems)} of {len(files)} images could not be read (above)."
        )


def evaluate(
    folder: Path, data: Path | None, split: str | None, labels: str | None
) -> dict[str, Any]:
    """Score a run against labels, write ``results/DATA-SPLIT.json``, print a table."""
    from frugalseg.evaluation.cluster_results import write_cluster_result

    run = load_cluster_run(folder)
    result = _evaluate(run, data, split or "all", labels)
    if result["scores"] is None:
        raise FrugalsegError(
            f"{result['what']['data']} has no labels to score against: give --labels CSV "
            "(file,label), or --labels folders where sub-folders are the labels."
        )
    by = label_name(run.config.labels, labels)
    path = result_path(folder, data_name(run.config.data, data), split or "all", by)
    write_cluster_result(result, path)
    _print([result])
    say(f"Written: {path}")
    return result


def compare(folders: Sequence[Path], split: str | None, out: Path) -> None:
    """Compare runs on the same images; what is not yet evaluated is evaluated."""
    from frugalseg.evaluation.assignments import read_assignments
    from frugalseg.evaluation.cluster_results import read_cluster_result, write_cluster_result
    from frugalseg.reports.compare_clusters import write_cluster_comparison
    from frugalseg.reports.facts import kept_history

    runs = [load_cluster_run(folder) for folder in folders]
    same_data([(run.folder, run.config.data) for run in runs])
    results, assigned, histories = [], {}, {}
    for run in runs:
        where = split or run.config.split
        path = result_path(run.folder, data_name(run.config.data, None), where)
        if not path.exists():
            say(f"Evaluating {run.folder} on {where}")
            write_cluster_result(_evaluate(run, None, where, None), path)
        results.append(read_cluster_result(path))
        histories[str(run.folder)] = kept_history(run.folder, run.state)
        table = run.folder / "assignments.csv"
        if table.exists():
            assigned[str(run.folder)] = read_assignments(table)
    write_cluster_comparison(results, assigned, out, histories)
    _print(results)
    say(f"Written: {out}")


def suggest(folder: Path, number: int, out: Path | None) -> None:
    """Print the images whose labels would name most others, and write them as a table to fill."""
    import csv
    import io

    from frugalseg.evaluation.suggest import suggest as choose
    from frugalseg.files import write_whole
    from frugalseg.training.cluster_answers import answer_images

    run = load_cluster_run(folder)
    images = _open(run.config)
    answers = answer_images(run, images, run.config.split, _bar)
    if not 1 <= number <= len(answers.names):
        raise FrugalsegError(
            f"number={number} is out of range: {run.config.data} has {len(answers.names)} images."
        )
    out = folder / "to_label.csv" if out is None else out
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "why"])
    for index, why in choose(answers, number):
        writer.writerow([answers.names[index], "", why])
        print(f"{answers.names[index]}\t{why}")
    write_whole(text.getvalue().encode(), out)
    say(f"Fill the column 'label' of {out}, then: frugalseg evaluate {folder} --labels {out}")


def _open(config: ClusterConfig) -> Any:
    from frugalseg.training.cluster_plan import open_image_data

    return open_image_data(config, lambda items: progress(items, "files"))


def _bar(items: Any) -> Any:
    return progress(items, "pieces")


def _say_problems(images: Any) -> None:
    """What was left out, and images that come twice."""
    from frugalseg.data.duplicates import find_duplicates

    for problem in images.problems:
        say(f"frugalseg: {problem}")
    if images.survey is None:
        return
    found = find_duplicates(images)
    for groups, what in ((found.exact, "the same file"), (found.near, "nearly the same picture")):
        if groups:
            names = ", ".join(images.names[i] for i in groups[0][:3])
            say(f"Images that are {what} ({len(groups)}), such as {names}: see the report.")


def _say_batch(config: ClusterConfig, images: Any) -> None:
    """Where batches are small for the number of clusters."""
    from frugalseg.training.cluster_checks import few_pairs
    from frugalseg.training.cluster_plan import make_plan

    plan = make_plan(config, images)
    heads = {"over_clusters": plan.over_clusters}
    if config.clusters != "auto":
        heads["clusters"] = config.clusters
    for option, clusters in heads.items():
        if hint := few_pairs(clusters, plan.batch, plan.copies, option):
            say(hint)


def _evaluate(run: ClusterRun, data: Path | None, split: str, labels: str | None) -> dict[str, Any]:
    from frugalseg.reports.cluster_files import result_of
    from frugalseg.training.cluster_answers import answer_images

    config = run.config
    if data is not None and not same_place(data, config.data):
        config = dataclasses.replace(config, data=str(data), labels=None)
    if labels is not None:
        config = dataclasses.replace(config, labels=labels)
    images = _open(dataclasses.replace(config, split=split))
    return result_of(run, answer_images(run, images, split, _bar), images, split)


def _print(results: Sequence[dict[str, Any]]) -> None:
    from frugalseg.evaluation.cluster_results import cluster_table
    from frugalseg.reports.cluster_words import health_in_words

    print(cluster_table(results), end="")
    for result in results:
        for remark in health_in_words(result["health"], result["losses"]):
            say(f"{result['what']['run']}: {remark.text}")
