"""Lightning modules that teach a clustering: from images, or from features of a frozen trunk."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from frugalseg.cluster_runs import ClusterConfig, Plan
from frugalseg.information import (
    accumulate_iic,
    clustering_health,
    iic_loss,
    joint_from_counts,
    mutual_information,
    pair_counts,
)
from frugalseg.networks.heads import ClusterNet
from frugalseg.training.tasks import StepTask
from frugalseg.training.views import plain_view, transformed_views

PROBE = 1000  # images on which the state of a training is measured


@dataclass(frozen=True)
class Draw:
    """What a step is to learn from.

    Attributes:
        head: which head learns, "main" or "over".
        places: (n,) places in the order of the images (not their indices in the set).
        key: of the random numbers of this step.
    """

    head: str
    places: Tensor
    key: int


class Turns(IterableDataset[Draw]):
    """The draws of a range of steps: heads by turns, each going through its images in rounds.

    Args:
        places: of the images of each head.
        order: heads by turns.
        turn: steps of a turn.
        batch: images a step.
        seed: shuffles.
        shuffle: each round in another order; else always in that of the places.
    """

    def __init__(
        self,
        places: dict[str, NDArray[np.int64]],
        order: tuple[str, ...],
        turn: int,
        batch: int,
        seed: int,
        shuffle: bool = True,
    ):
        self.places, self.order, self.turn = places, order, turn
        self.batch, self.seed, self.shuffle = batch, seed, shuffle
        self.start, self.stop, self.rank, self.world = 0, 0, 0, 1

    def between(self, start: int, stop: int, rank: int = 0, world: int = 1) -> "Turns":
        """The same draws from step ``start`` to ``stop - 1``, one process's part of each."""
        part = Turns(self.places, self.order, self.turn, self.batch, self.seed, self.shuffle)
        part.start, part.stop, part.rank, part.world = start, stop, rank, world
        return part

    def head(self, step: int) -> str:
        """Which head learns in a step."""
        return self.order[(step // self.turn) % len(self.order)]

    def draw(self, step: int) -> Draw:
        """What a step learns from."""
        head = self.head(step)
        cycle, within = divmod(step, self.turn * len(self.order))
        before = cycle * self.order.count(head) * self.turn
        before += sum(self.order[k // self.turn] == head for k in range(within))
        images = self.places[head]
        numbers = np.arange(before * self.batch, (before + 1) * self.batch)
        rounds = numbers // len(images)
        chosen = np.empty(self.batch, np.int64)
        for r in np.unique(rounds):  # each image once a round
            order = np.arange(len(images))
            if self.shuffle:
                order = np.random.default_rng((self.seed, r)).permutation(len(images))
            chosen[rounds == r] = images[order[numbers[rounds == r] % len(images)]]
        own = torch.from_numpy(chosen[self.rank :: self.world])
        return Draw(head, own, (self.seed * 1_000_003 + step) * 1_009 + self.rank)

    def __iter__(self) -> Iterator[Draw]:
        return (self.draw(step) for step in range(self.start, self.stop))


class ClusterTask(StepTask):
    """Teaches heads, and the trunk unless it is frozen, to agree on two views.

    Adam at a constant rate that falls to 0 in the last steps. The idle head rests: it gets no
    gradient, not a zero one.

    Args:
        net: trunk and heads; those of its parameters that shall learn want gradients.
        turns: the draws.
        plan: how.
        config: of the run.
        seed: of this training.
        lowest: file that keeps the weights of the lowest loss of the main head.
        labels: (N,) by place, -1 where unknown; they are counted and never decide anything.
    """

    best: Tensor
    strategy = "ddp_find_unused_parameters_true"  # one head rests

    def __init__(
        self,
        net: ClusterNet,
        turns: Turns,
        plan: Plan,
        config: ClusterConfig,
        seed: int,
        lowest: Path | None = None,
        labels: NDArray[np.int64] | None = None,
    ):
        super().__init__(turns, plan.steps, plan.rate, seed)  # type: ignore[arg-type]
        self.net, self.plan, self.config = net, plan, config
        self.lowest, self.labels = lowest, labels
        self.register_buffer("best", torch.tensor([torch.inf, 0.0]))  # loss and step
        rng = np.random.default_rng((0, 7))
        watched = turns.places["main" if "main" in turns.order else "over"]
        self.watched = torch.from_numpy(rng.permutation(watched)[:PROBE])
        self.automatic_optimization = not config.part

    def assign(self, head: str, places: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Assignments of two views: ``(S, n, k)`` and ``(S, R, n, k)``."""
        raise NotImplementedError

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch

    def train_dataloader(self) -> DataLoader[Any]:
        rank, world = self.global_rank, self.trainer.world_size
        part = self.stream.between(self.global_step, self.steps, rank, world)
        return DataLoader(part, batch_size=None)

    def training_step(self, batch: Any, index: int) -> Any:
        draw: Draw = batch
        weight = self.config.over_entropy_weight
        if draw.head == "main":
            weight = self.plan.entropy_weight
        if self.config.part:
            return {"loss": self._step_in_parts(draw, weight)}
        p, q = self.assign(draw.head, draw.places, _generator(draw.key))
        return iic_loss(p, q, weight).mean()

    def _step_in_parts(self, draw: Draw, weight: float) -> Tensor:
        """One step of the optimiser on a batch that is computed part by part."""
        parts = list(enumerate(torch.split(draw.places, self.config.part or 1)))
        optimiser: Any = self.optimizers()
        optimiser.zero_grad()
        losses = accumulate_iic(  # views of a part come out alike in both passes
            lambda part: self.assign(draw.head, part[1], _generator(draw.key * 61 + part[0])),
            parts,
            weight,
        )
        optimiser.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        return losses.mean()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=self.rate)
        falling = max(self.config.decay * self.steps, 1e-9)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, max(0.0, (self.steps - step) / falling))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.no_grad()
    def measures(self) -> dict[str, Any]:
        """The state of the training on some images: numbers for metrics.jsonl.

        Keeps the weights where the loss of the main head, of its best sub-head, is the lowest yet.
        """
        numbers: dict[str, Any] = {}
        for head in dict.fromkeys(self.stream.order):  # type: ignore[attr-defined]
            p, q = self.assign(head, self.watched, _generator(self.seed))
            losses = -mutual_information(joint_from_counts(pair_counts(p, q)))
            numbers[head] = _short(losses.mean())
            if head == "main" or len(numbers) == 1:
                best = int(losses.argmin())
                health = clustering_health(p[best], q[best, 0])
                state: dict[str, Any] = {name: _short(value) for name, value in health.items()}
                state["sub_heads"] = [_short(loss) for loss in losses]
                state |= self._accuracies(p)
                self._keep(losses[best])
        return numbers | state

    def _accuracies(self, p: Tensor) -> dict[str, Any]:
        """Labelled accuracy of each sub-head, for the eye and for comparison only."""
        if self.labels is None or (self.labels < 0).all():
            return {}
        from frugalseg.information import accuracy, confusion, one_to_one

        labels = self.labels[self.watched.numpy()]
        if (labels < 0).all():
            return {}
        found = []
        for answers in p.argmax(-1).cpu().numpy():
            counts = confusion(answers, labels, p.shape[-1], int(self.labels.max()) + 1)
            found.append(round(accuracy(one_to_one(counts), answers, labels), 4))
        return {"accuracy": found}

    def _keep(self, loss: Tensor) -> None:
        if self.lowest is None or not bool(loss < self.best[0]):
            return
        from frugalseg.runs import save_weights

        self.best[0], self.best[1] = loss, self.global_step
        save_weights(self.net, self.lowest.parent, self.lowest.name)


class ImageTask(ClusterTask):
    """Teaches trunk and heads from images.

    Args:
        pixels: (N, C, side, side) uint8, by place.
        views: how views are made.
        others: as :class:`ClusterTask`.
    """

    def __init__(self, *arguments: Any, pixels: Tensor, views: Any, **others: Any):
        super().__init__(*arguments, **others)
        self.pixels, self.views = pixels, views

    def assign(self, head: str, places: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """See :class:`ClusterTask`; the plain view is computed once for all copies."""
        images = self.pixels[places.to(self.pixels.device)].to(self.device)
        copies = self.plan.copies
        plain = self.net(plain_view(images, rng, self.views), head)
        others = self.net(transformed_views(images, copies, rng, self.views), head)
        return plain, others.unflatten(1, (copies, len(images)))


class FeatureTask(ClusterTask):
    """Teaches heads on features of a frozen trunk.

    Views of an image are its own transformed views and images that lie near it (Van Gansbeke et al.
    2020): transforms alone leave a frozen trunk too little to find out.

    Args:
        plain: (N, D) reduced features of the plain views, by place.
        transformed: (V, N, D) of transformed views.
        near: (N, n) places of the nearest images; None for none.
        others: as :class:`ClusterTask`.
    """

    def __init__(
        self,
        *arguments: Any,
        plain: Tensor,
        transformed: Tensor,
        near: Tensor | None,
        **others: Any,
    ):
        super().__init__(*arguments, **others)
        self.plain, self.transformed, self.near = plain, transformed, near

    def assign(self, head: str, places: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """See :class:`ClusterTask`: one plain view; one transformed view and one neighbour."""
        count = len(places)
        which = torch.randint(len(self.transformed), (count,), generator=rng)
        pairs = [self.transformed[which, places]]
        if self.near is not None:
            column = torch.randint(self.near.shape[1], (count,), generator=rng)
            beside = self.near[places, column]
            which = torch.randint(len(self.transformed) + 1, (count,), generator=rng)
            shown = self.transformed[which.clamp_max(len(self.transformed) - 1), beside]
            plain = which == len(self.transformed)
            pairs.append(torch.where(plain[:, None], self.plain[beside], shown))
        stacked = torch.cat([self.plain[places], *pairs]).to(self.device)
        answers = self.net.assign(stacked, head)
        answers = answers.view(len(answers), 1 + len(pairs), count, -1)
        return answers[:, 0], answers[:, 1:]


def _generator(key: int) -> torch.Generator:
    return torch.Generator().manual_seed(key % 2**63)


def _short(value: Any) -> float:
    return round(float(value), 5)
