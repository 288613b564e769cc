"""The demonstration's second part: scikit-learn's digits in ten clusters, found without labels."""

from pathlib import Path

from frugalseg.console import log
from frugalseg.engine.results import Result
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import TASKS, base
from frugalseg.tasks.cluster.config import ClusterConfig


def demo_config(seed: int = 0) -> ClusterConfig:
    """The demonstration's configuration: a narrow backbone, less than two minutes on two cores."""
    return ClusterConfig(
        data="digits",
        width=8,
        num_views=2,
        steps_per_head=10,
        steps=700,
        learning_rate=3e-3,
        seed=seed,
    )


def run_cluster_demo(out: Path, seed: int = 0, config: ClusterConfig | None = None) -> Result:
    """Group the digits, score the groups by labels that the training did not see, write a page.

    An interrupted demonstration goes on where it stopped.

    Args:
        out: folder of the run.
        seed: of the training.
        config: another configuration, for quick tests.

    Returns:
        The result.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    config = config or demo_config(seed)
    try:
        RunDir(out, config).find()
    except FrugalsegError as error:
        raise FrugalsegError(
            f"{out} cannot hold this demonstration: name another folder with --out. ({error})"
        ) from error
    log.info(f"digits: images in {config.clusters} groups, without labels")
    run = base.train(config, out)
    result = base.own_result(TASKS[config.task], run)
    assert result.scores is not None
    print(
        f"\nWithout a label, {result.scores['accuracy']:.1%} of the digits are in the group of "
        f"their kind.\nOpen {out / 'report.html'} in a browser: the groups, what is unsure, and "
        "what is confused with what."
    )
    return result
