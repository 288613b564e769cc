"""Semi-supervision: a classifier on the trunk of a clustering run, taught with labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from frugalseg.cluster_runs import ClusterRun
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import environment
from frugalseg.files import write_whole
from frugalseg.networks.heads import SupervisedNet
from frugalseg.networks.trunks import third_stage
from frugalseg.training.agreement import Draw, Turns
from frugalseg.training.tasks import StepTask
from frugalseg.training.views import Views, test_view, transformed_views

TRUNK_SHARE = 0.1  # of the head's rate; as published, 1e-4 and 1e-3


class SupervisedTask(StepTask):
    """Teaches trunk and classifier with labels, on transformed views.

    Args:
        net: trunk and classifier.
        turns: the draws; their heads do not matter.
        pixels: (N, C, side, side) uint8.
        labels: (N,) classes, all known.
        views: how views are made.
        steps, rate, seed: of the training; the trunk learns at a tenth of the rate.
    """

    def __init__(
        self,
        net: SupervisedNet,
        turns: Turns,
        pixels: Tensor,
        labels: Tensor,
        views: Views,
        steps: int,
        rate: float,
        seed: int,
    ):
        super().__init__(turns, steps, rate, seed)  # type: ignore[arg-type]
        self.net, self.pixels, self.labels, self.views = net, pixels, labels, views

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch

    def train_dataloader(self) -> DataLoader[Any]:
        part = self.stream.between(
            self.global_step, self.steps, self.global_rank, self.trainer.world_size
        )
        return DataLoader(part, batch_size=None)

    def training_step(self, batch: Any, index: int) -> Tensor:
        draw: Draw = batch
        rng = torch.Generator().manual_seed(draw.key)
        images = self.pixels[draw.places].to(self.device)
        scores = self.net(transformed_views(images, 1, rng, self.views))
        return F.cross_entropy(scores, self.labels[draw.places].to(self.device))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        groups: list[dict[str, Any]] = [
            {"params": list(self.net.trunk.parameters()), "lr": TRUNK_SHARE * self.rate},
            {"params": list(self.net.head.parameters())},
        ]
        return torch.optim.Adam(groups, lr=self.rate)


def fine_tune(
    run: ClusterRun,
    images: ImageSet,
    labelled: NDArray[np.int64],
    test: NDArray[np.int64],
    folder: Path,
    views: Views | None = None,
    steps: int = 1000,
    batch: int = 128,
    rate: float = 1e-3,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Any]:
    """Fine-tune the trunk of a run with a classifier on top, and score it on test images.

    Args:
        run: a clustering run; its own trunk is taught further, so load it anew for another one.
        images: the set, with labels.
        labelled: indices of the images to learn from.
        test: indices of the images to score.
        folder: for checkpoints; an interrupted training goes on there.
        views: how views are made; by default the run's.
        steps, batch, rate, seed: of the training.
        progress: show a progress bar.

    Returns:
        "accuracy" on the test images, "labels" (their number), "steps", "seed".

    Raises:
        FrugalsegError: an image to learn from or to score has no label.
    """
    import lightning

    from frugalseg.training.fit import fit

    if images.labels is None or (images.labels[np.r_[labelled, test]] < 0).any():
        raise FrugalsegError(f"{images.root}: fine-tuning needs labels of all images given to it.")
    settings = views or Views(**run.plan.views)
    text = json.dumps({**environment(), "run": run.folder.name, "seed": seed}, indent=1)
    write_whole(text.encode(), folder / "environment.json")
    lightning.seed_everything(seed, verbose=False)
    trunk = third_stage(run.net.trunk, run.plan.channels, settings.size).requires_grad_(True)
    net = SupervisedNet(trunk, len(images.class_names))
    places = np.arange(len(labelled))
    turns = Turns({"main": places}, ("main",), 1, min(batch, len(places)), seed)
    pixels = _pixels(images, labelled, settings)
    labels = torch.from_numpy(images.labels[labelled])
    task = SupervisedTask(net, turns, pixels, labels, settings, steps, rate, seed)
    fit(task, folder, "fine-tuning", progress=progress)
    score = _accuracy(net.eval(), images, test, settings)
    return {"accuracy": score, "labels": len(labelled), "steps": steps, "seed": seed}


def _accuracy(net: SupervisedNet, images: ImageSet, test: NDArray[np.int64], views: Views) -> float:
    """Share of right answers on the test view."""
    device = next(net.parameters()).device
    assert images.labels is not None
    right = 0
    with torch.inference_mode():
        for start in range(0, len(test), 256):
            some = test[start : start + 256]
            shown = test_view(_pixels(images, some, views).to(device), views)
            right += int((net(shown).argmax(1).cpu().numpy() == images.labels[some]).sum())
    return right / len(test)


def _pixels(images: ImageSet, indices: NDArray[np.int64], views: Views) -> Tensor:
    pixels = images.read_all(views.side, indices).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(pixels))
