"""Features of a frozen trunk: computed once, in pieces that an interruption leaves intact."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.cluster_runs import Plan
from frugalseg.data.image_sets import ImageSet
from frugalseg.files import write_whole
from frugalseg.networks.trunks import Trunk
from frugalseg.training.cluster_plan import view_settings
from frugalseg.training.views import test_view, transformed_views

PIECE = 1024  # images in a file
BATCH = 32  # images computed at once, with all their views

Progress = Callable[[Iterable[Any]], Iterable[Any]]


def frozen_features(
    trunk: Trunk,
    plan: Plan,
    images: ImageSet,
    indices: NDArray[np.int64],
    folder: Path,
    progress: Progress = iter,
) -> tuple[Tensor, Tensor]:
    """Features of the plain view and of ``plan.copies`` transformed views of each image.

    What lies in the folder already, from an interrupted call or from another run of the same trunk,
    views and images, is read and not computed. The transformed views do not depend on the run's
    seed, so that runs of a pretrained trunk can share them.

    Args:
        trunk: in evaluation mode.
        plan: its views and the number of copies.
        images: the set.
        indices: which images.
        folder: where features are kept, below a name made of all that decides them.
        progress: wraps the loop over the pieces.

    Returns:
        ``(N, F)`` and ``(V, N, F)``, float16.

    Raises:
        FrugalsegError: an image cannot be read, or the folder cannot be written.
    """
    place = folder / _key(trunk, plan, images, indices)
    pieces = [indices[i : i + PIECE] for i in range(0, len(indices), PIECE)]
    found = [
        _piece(trunk, plan, images, piece, place / f"{k:05d}.safetensors", k)
        for k, piece in enumerate(progress(pieces))
    ]
    whole = torch.cat(found, 1)
    return whole[0], whole[1:]


def read_features(
    trunk: Trunk, plan: Plan, images: ImageSet, indices: NDArray[np.int64], folder: Path
) -> Tensor | None:
    """Features ``(N, F)`` of plain views that :func:`frozen_features` has left; None without."""
    place = folder / _key(trunk, plan, images, indices)
    count = -(-len(indices) // PIECE)
    kept = [_read_piece(place / f"{k:05d}.safetensors") for k in range(count)]
    whole = [piece[0] for piece in kept if piece is not None]
    return torch.cat(whole) if len(whole) == count else None


def _key(trunk: Trunk, plan: Plan, images: ImageSet, indices: NDArray[np.int64]) -> str:
    deciding = [plan.trunk, plan.pretrained, plan.copies, plan.views, str(images.root.resolve())]
    digest = hashlib.sha256(json.dumps(deciding, sort_keys=True, default=str).encode())
    digest.update("\n".join(images.names[i] for i in indices).encode())
    if not plan.pretrained:  # the name does not say which weights: another seed draws others
        digest.update(str(trunk).encode())
        for name, value in trunk.state_dict().items():
            digest.update(name.encode())
            digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _piece(
    trunk: Trunk, plan: Plan, images: ImageSet, piece: NDArray[np.int64], path: Path, key: int
) -> Tensor:
    """(1 + V, n, F) of the images of one file, from the file where it is there and whole."""
    from safetensors.torch import save

    kept = _read_piece(path)
    if kept is not None:
        return kept
    views = view_settings(plan)
    rng = torch.Generator().manual_seed(key)
    device = trunk.mean.device
    found = []
    with torch.inference_mode():
        for start in range(0, len(piece), BATCH):
            pixels = images.read_all(views.side, piece[start : start + BATCH])
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)
            shown = torch.cat(
                [test_view(batch, views), transformed_views(batch, plan.copies, rng, views)]
            )
            found.append(trunk(shown).unflatten(0, (1 + plan.copies, len(batch))).half().cpu())
    features = torch.cat(found, 1)
    write_whole(save({"features": features.contiguous()}), path)
    return features


def _read_piece(path: Path) -> Tensor | None:
    """What a file holds; None where it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        kept: Tensor = load_file(path)["features"]
    except (SafetensorError, OSError, KeyError):
        return None
    return kept


def nearest_images(reduced: Tensor, count: int) -> Tensor:
    """The nearest other images of each image, by the angle between their features.

    Args:
        reduced: ``(N, D)`` of :func:`frugalseg.networks.heads.project`.
        count: how many, below N.

    Returns:
        ``(N, count)`` int64 places, nearest first.
    """
    found = []
    for start in range(0, len(reduced), 2048):
        likeness = reduced[start : start + 2048] @ reduced.T
        rows = torch.arange(len(likeness))
        likeness[rows, start + rows] = -torch.inf  # none is its own neighbour
        found.append(likeness.topk(count, 1).indices)
    return torch.cat(found)
