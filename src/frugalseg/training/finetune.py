"""Semi-supervision: a classifier on the trunk of a clustering run, taught with labels."""

import dataclasses
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from frugalseg.cluster_runs import ClusterRun, load_cluster_run
from frugalseg.data.image_sets import ImageSet
from frugalseg.files import write_whole
from frugalseg.finetune_runs import (
    NEEDS,
    FinetuneConfig,
    build_supervised,
    load_finetune_run,
)
from frugalseg.networks.heads import SupervisedNet
from frugalseg.networks.trunks import third_stage
from frugalseg.runs import config_hash, write_state
from frugalseg.training.agreement import Draw, Turns
from frugalseg.training.finetune_plan import Parts, check_numbers, choose_parts, choose_views
from frugalseg.training.hardware import seed_everything
from frugalseg.training.restarts import begin_run, state_of_run
from frugalseg.training.tasks import StepTask
from frugalseg.training.views import Views, placed_view, transformed_views
from frugalseg.weights import save_weights

PIECE = 256  # images answered at once
Say = Callable[[str], None]
Progress = Callable[[Iterable[Any]], Iterable[Any]]
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


def train_finetuning(
    config: FinetuneConfig,
    images: ImageSet,
    folder: Path,
    progress: bool = True,
    say: Say = lambda text: None,
) -> None:
    """Teach a classifier from its configuration, or go on with an unfinished run.

    Args:
        config: the configuration.
        images: the set, with labels.
        folder: the run's folder.
        progress: show a progress bar.
        say: is told, in words, what begins.

    Raises:
        FrugalsegError: what the user can mend, before the folder is made.
    """
    from frugalseg.training.fit import is_main_process

    check_numbers(config)
    if state_of_run(folder, config, NEEDS).get("finished"):
        say(f"{folder} is finished already.")
        return
    run = load_cluster_run(config.run)
    views, parts = choose_views(config, run), choose_parts(config, images)
    begin_run(folder, config, NEEDS)
    say(f"Learning {len(images.class_names)} classes from {len(parts.learned)} labels")
    net = _network(config, run, images, views)
    _teach(net, config, images, parts.learned, folder, views, progress)
    if is_main_process():
        _finish(folder, config, run, images, views, parts, net)


def _network(
    config: FinetuneConfig, run: ClusterRun, images: ImageSet, views: Views
) -> SupervisedNet:
    """The network before its training, the same for every start of the same seed."""
    seed_everything(config.seed)
    if config.untrained:
        return build_supervised(run.plan, len(images.class_names), views.size, config.hidden)
    trunk = third_stage(run.net.trunk, run.plan.channels, views.size).requires_grad_(True)
    return SupervisedNet(trunk, len(images.class_names), config.hidden)


def _teach(
    net: SupervisedNet,
    config: FinetuneConfig,
    images: ImageSet,
    labelled: NDArray[np.int64],
    folder: Path,
    views: Views,
    progress: bool,
) -> None:
    """Train; interrupted, it goes on from the checkpoint in the folder."""
    from frugalseg.training.fit import fit

    assert images.labels is not None
    places, seed = np.arange(len(labelled)), config.seed
    turns = Turns({"main": places}, ("main",), 1, min(config.batch, len(places)), seed)
    pixels = _pixels(images, labelled, views)
    labels = torch.from_numpy(images.labels[labelled])
    task = SupervisedTask(net, turns, pixels, labels, views, config.steps, config.rate, seed)
    fit(task, folder, "fine-tuning", progress=progress)
    net.eval()


def _finish(
    folder: Path,
    config: FinetuneConfig,
    run: ClusterRun,
    images: ImageSet,
    views: Views,
    parts: Parts,
    net: SupervisedNet,
) -> None:
    """Write weights, the use of each label, and the state."""
    import csv
    import io

    assert images.labels is not None
    save_weights(net, folder)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "label", "used"])
    used = dict.fromkeys(parts.learned.tolist(), "training")
    used |= dict.fromkeys(parts.scored.tolist(), "score")
    for i in images.labelled.tolist():
        writer.writerow([images.names[i], images.class_names[images.labels[i]], used.get(i, "")])
    write_whole(text.getvalue().encode(), folder / "labels.csv")
    state = {
        "plan": dataclasses.asdict(run.plan),
        "views": dataclasses.asdict(views),
        "class_names": list(images.class_names),
        "learned": len(parts.learned),
        "scored": len(parts.scored),
        "split": parts.split,
        "config_hash": config_hash(config),
        "finished": True,
    }
    write_state(folder, state)
    load_finetune_run(folder)  # what cannot be loaded shall be known now
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def answer_classes(
    net: SupervisedNet,
    images: ImageSet,
    indices: NDArray[np.int64],
    views: Views,
    crops: int = 1,
    progress: Progress = iter,
) -> NDArray[np.float32]:
    """Probabilities of the classes, of scores averaged over views (ten of them, as published).

    Args:
        net: in evaluation mode.
        images: the set.
        indices: of the N images to answer for, at least one.
        views: how views are made.
        crops: 1 (the centre) or 5 (the corners too), and mirrored where the views are flipped.
        progress: wraps the loop over pieces.

    Returns:
        ``(N, classes)``.

    Raises:
        FrugalsegError: an image cannot be read any more.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = net.to(device).eval()
    places = [(0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)][:crops]
    mirrors = (False, True) if crops > 1 and views.flip else (False,)
    found: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in progress(range(0, len(indices), PIECE)):
            pixels = _pixels(images, indices[start : start + PIECE], views).to(device)
            shown = [placed_view(pixels, views, place, m) for place in places for m in mirrors]
            scores = torch.stack([net(view) for view in shown]).mean(0)
            found.append(scores.softmax(1).float().cpu().numpy())
    whole: NDArray[np.float32] = np.concatenate(found)
    return whole


def _pixels(images: ImageSet, indices: NDArray[np.int64], views: Views) -> Tensor:
    pixels = images.read_all(views.side, indices).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(pixels))
