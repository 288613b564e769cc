"""What a clustering run leaves for people: assignments.csv, report.html and a result file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import ClusterRun
from frugalseg.data.duplicates import Duplicates, find_duplicates
from frugalseg.data.image_sets import ImageSet
from frugalseg.evaluation.assignments import write_assignments
from frugalseg.evaluation.cluster_results import cluster_result, write_cluster_result
from frugalseg.evaluation.clusters import Answers, scores
from frugalseg.reports.cluster import ClusterReport, write_cluster_page

Progress = Callable[[Iterable[Any]], Iterable[Any]]


def write_cluster_files(
    run: ClusterRun,
    images: ImageSet,
    split: str,
    out: Path,
    progress: Progress = iter,
    results: bool = True,
) -> dict[str, Any]:
    """Answer for images and write what people look at.

    Args:
        run: a finished run.
        images: the set.
        split: which of its images.
        out: folder for assignments.csv, report.html and, with `results`, results/DATA-SPLIT.json.
        progress: wraps the loop over pieces.
        results: whether these are the images of the run itself: then the page has its learning
            curves too.

    Returns:
        The result.

    Raises:
        FrugalsegError: an image cannot be read any more, or a file cannot be written.
    """
    from frugalseg.training.cluster_answers import answer_images

    answers = answer_images(run, images, split, progress)
    result = result_of(run, answers, images, split)
    names = answers.cluster_names if result["scores"] is not None else ()
    write_assignments(answers.names, answers.probabilities, out / "assignments.csv", names)
    if results:
        path = out / "results" / f"{images.name}-{split}.json"
        write_cluster_result(result, path)
    report = _report(run, answers, images, result, learned=results)
    write_cluster_page(report, out / "report.html")
    return result


def result_of(run: ClusterRun, answers: Answers, images: ImageSet, split: str) -> dict[str, Any]:
    """The result of a run on a split: health, losses, and scores where there are labels.

    Args:
        run: the run.
        answers: of `answer_images`.
        images: the set.
        split: which of its images were answered.

    Returns:
        As `cluster_result` makes it.
    """
    from frugalseg.runs import config_hash

    config, plan = run.config, run.plan
    what = {
        "run": run.folder.name,
        "data": images.name,
        "split": split,
        "images": len(answers.names),
        "config_hash": config_hash(config),
        "seed": config.seed,
        "clusters": run.clusters,
        "asked": config.clusters,
        "trunk": plan.trunk if plan.frozen or plan.pretrained else f"{plan.trunk} {plan.width}",
        "frozen": plan.frozen,
        "steps": plan.steps,
        "variant": _variant(run),
    }
    found = scores(answers) if len(_known(answers)) else None
    return cluster_result(what, answers.health, answers.losses, found)


def _known(answers: Answers) -> Any:
    return [] if answers.labels is None else answers.labels[answers.labels >= 0]


def _variant(run: ClusterRun) -> str | None:
    """What else tells the run from others: settings away from their defaults."""
    default = type(run.config)(run.config.data)
    names = (
        *("over_clusters", "sub_heads", "hidden", "neighbours", "views", "view_options", "copies"),
        *("batch", "rate", "decay", "order", "turn", "entropy_weight", "restarts", "split"),
    )
    changed = [n for n in names if getattr(run.config, n) != getattr(default, n)]
    return ", ".join(f"{n}={getattr(run.config, n)}" for n in changed) or None


def _report(
    run: ClusterRun, answers: Answers, images: ImageSet, result: Mapping[str, Any], learned: bool
) -> ClusterReport:
    """What the page tells; with `learned` also of the training."""
    split = result["what"]["split"]
    indices = images.splits[split]
    scores = result["scores"]
    state = run.state if learned else {}
    return ClusterReport(
        title=f"{images.name}: {run.clusters} clusters",
        names=answers.names,
        probabilities=answers.probabilities,
        read=lambda side, chosen: images.read_all(side, indices[chosen]),
        health=answers.health,
        side=max(24, int(images.sizes[indices].min())),
        over=answers.over_probabilities,
        places=answers.places,
        cluster_names=answers.cluster_names if scores is not None else (),
        losses=answers.losses,
        restarts=[min(each["losses"]) for each in state.get("restarts", ())],
        history=_history(run) if learned else (),
        labels=answers.labels,
        class_names=answers.class_names,
        scores=scores,
        counts=state.get("counts"),
        duplicates=_duplicates(images, indices),
        problems=images.problems,
        facts=_facts(run, result),
    )


def _history(run: ClusterRun) -> list[dict[str, Any]]:
    """The learning curves of the training that was kept."""
    from frugalseg.training.restarts import read_history

    lines = read_history(run.folder)
    return [line for line in lines if line.get("training") == run.state.get("training")]


def _duplicates(images: ImageSet, indices: Any) -> Any:
    """Groups as places in the split; of sets without files nothing is said."""
    if images.survey is None:
        return (), ()
    place = {int(index): i for i, index in enumerate(indices)}
    found: Duplicates = find_duplicates(images)
    kept = [
        [[place[i] for i in group if i in place] for group in groups]
        for groups in (found.exact, found.near)
    ]
    return tuple([group for group in groups if len(group) > 1] for groups in kept)


def _facts(run: ClusterRun, result: Mapping[str, Any]) -> dict[str, str]:
    plan, what, environment = run.plan, result["what"], result["environment"]
    trunk = plan.trunk + (", pretrained" if plan.pretrained else f", width {plan.width}")
    facts = {
        "command": what["command"],
        "data": f"{what['data']}, {what['split']}: {what['images']:,} images",
        "trunk": trunk + (", frozen" if plan.frozen else ""),
        "heads": f"{run.clusters} and {plan.over_clusters} clusters, {plan.sub_heads} sub-heads",
        "training": f"{plan.steps} steps of {plan.batch} images in {plan.copies} copies",
        "seed": str(what["seed"]),
        "oracle stop": "",
        "software": f"frugalseg {environment['frugalseg']}, torch {environment['torch']}",
        "hardware": environment.get("gpu") or environment.get("cpu") or "",
        "date": environment["date"],
    }
    oracle = run.state.get("oracle")
    if oracle:
        facts["oracle stop"] = (
            f"accuracy {oracle['accuracy']:.1%} at step {oracle['step']}, the best sub-head and "
            "step by labels: for comparison with published figures only"
        )
    return {name: text for name, text in facts.items() if text}
