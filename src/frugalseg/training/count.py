"""Choose the number of clusters of a run from an overclustering trained first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from frugalseg.evaluation.count import choose_count
from frugalseg.training.agreement import AgreementTask
from frugalseg.training.hardware import hardware
from frugalseg.training.restarts import Restarted


def count_clusters(
    task: AgreementTask,
    answers: Callable[[], tuple[Tensor, Tensor]],
    config: Restarted,
    folder: Path,
    progress: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Train the overclustering head alone, merge its clusters, and choose their number.

    Args:
        task: the training of that head.
        answers: what it answers afterwards for two views, ``(S, N, K)`` and ``(S, N, K)`` or
            ``(S, R, N, K)``.
        config: of the run.
        folder: of the run.
        progress: show a progress bar.
        say: is told, in words, what was chosen.

    Returns:
        As :func:`frugalseg.evaluation.count.choose_count` gives it.
    """
    from frugalseg.training.fit import fit

    fit(task, folder, "count", *hardware(config), progress)
    counts = choose_count(*answers())
    say(counts["says"])
    return counts
