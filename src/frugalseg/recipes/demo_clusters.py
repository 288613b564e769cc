"""The demonstration's second part: scikit-learn's digits in ten groups, found without labels."""

import sys
from pathlib import Path
from typing import Any

from frugalseg.cluster_runs import ClusterConfig, load_cluster_run
from frugalseg.errors import FrugalsegError
from frugalseg.task_runs import find_task_run


def demo_config(seed: int = 0) -> ClusterConfig:
    """The demonstration's configuration: a narrow trunk, less than two minutes on two cores."""
    return ClusterConfig(data="digits", width=8, copies=2, turn=10, steps=700, rate=3e-3, seed=seed)


def run_cluster_demo(
    out: Path, seed: int = 0, config: ClusterConfig | None = None
) -> dict[str, Any]:
    """Group the digits, score the groups by labels that the training did not see, write a page.

    What an interrupted demonstration has done is not done again.

    Args:
        out: folder of the run.
        seed: of the training.
        config: another configuration, for quick tests.

    Returns:
        The result.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    from frugalseg.evaluation.cluster_results import cluster_table
    from frugalseg.reports.cluster_files import write_cluster_files
    from frugalseg.training.cluster import train_clustering
    from frugalseg.training.cluster_plan import open_image_data

    config = config or demo_config(seed)
    _prepare(out, config)
    images = open_image_data(config)
    _say(f"digits: {len(images)} images in {config.clusters} groups, without labels")
    train_clustering(config, out, sys.stderr.isatty(), lambda text: _say("  " + text), images)
    run = load_cluster_run(out)
    result = write_cluster_files(run, images, config.split, out)
    print(cluster_table([result]), end="")
    print(
        f"\nWithout a label, {result['scores']['accuracy']:.1%} of the digits are in the group of "
        f"their kind.\nOpen {out / 'report.html'} in a browser: the groups, what is unsure, and "
        "what is confused with what."
    )
    return result


def _prepare(out: Path, config: ClusterConfig) -> None:
    try:
        find_task_run(out, config)
    except FrugalsegError as error:
        raise FrugalsegError(
            f"{out} cannot hold this demonstration: name another folder with --out. ({error})"
        ) from error


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
