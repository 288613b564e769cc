"""Let a clustering run answer for images."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.cluster_runs import ClusterRun
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.clusters import Answers
from frugalseg.information import clustering_health
from frugalseg.training.cluster_plan import join_splits
from frugalseg.training.features import read_features
from frugalseg.training.views import Views, test_view

PIECE = 256  # images read and answered at once

Progress = Callable[[Iterable[Any]], Iterable[Any]]


def answer_images(
    run: ClusterRun, images: ImageSet, split: str = "all", progress: Progress = iter
) -> Answers:
    """Let a run answer for the images of a split.

    Args:
        run: a finished run.
        images: the set.
        split: which of its images.
        progress: wraps the loop over pieces.

    Returns:
        The answers, in the order of the split.

    Raises:
        FrugalsegError: there is no such split, or an image cannot be read any more.
    """
    join_splits(images, split)
    if split not in images.splits:
        raise FrugalsegError(
            f"{images.root} has no split {split!r}: there are {', '.join(images.splits)}."
        )
    indices = images.splits[split]
    main, over = _soft_answers(run, images, indices, progress)
    chosen, finer = main[run.sub_head], over[run.over_sub_head]
    if "over" not in run.config.order:  # it learned nothing: the main head stands for both
        finer = chosen
    health = clustering_health(chosen)
    own = images.root.resolve() == Path(run.config.data).resolve() and split == run.config.split
    if own and "agreement" in run.state["health"]:
        health["agreement"] = run.state["health"]["agreement"]
    return Answers(
        tuple(images.names[i] for i in indices),
        indices,
        chosen.numpy(),
        finer.numpy(),
        main.argmax(-1).numpy(),
        tuple(float(loss) for loss in run.state["losses"]),
        health,
        None if images.labels is None else images.labels[indices],
        images.class_names,
    )


def _soft_answers(
    run: ClusterRun, images: ImageSet, indices: NDArray[np.int64], progress: Progress
) -> tuple[torch.Tensor, torch.Tensor]:
    """(S, N, k) of the main head and (S, N, K) of the overclustering head, on the CPU."""
    views = Views(**run.plan.views)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = run.net.to(device).eval()
    main, over = [], []
    pieces = [indices[start : start + PIECE] for start in range(0, len(indices), PIECE)]
    kept = _kept_features(run, images, indices)
    with torch.inference_mode():
        for k, piece in enumerate(progress(pieces)):
            if kept is None:
                pixels = images.read_all(views.side, piece).transpose(0, 3, 1, 2)
                batch = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
                features = net.trunk(test_view(batch, views))
            else:
                features = kept[k * PIECE : (k + 1) * PIECE].to(device)
            main.append(net.answer(features, "main").float().cpu())
            over.append(net.answer(features, "over").float().cpu())
    return torch.cat(main, 1), torch.cat(over, 1)


def _kept_features(
    run: ClusterRun, images: ImageSet, indices: NDArray[np.int64]
) -> torch.Tensor | None:
    """Features of these very images that the training has left in its --features folder."""
    if not (run.plan.frozen and run.config.features):
        return None
    return read_features(run.net.trunk, run.plan, images, indices, Path(run.config.features))
