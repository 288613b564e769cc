"""Teach heads to agree on two views: whose turn it is, the optimiser, and how the training goes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from frugalseg.information import clustering_health
from frugalseg.training.tasks import StepTask


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


@dataclass(frozen=True)
class Probe:
    """Answers for two views of what is watched.

    Attributes:
        losses: (S) of the sub-heads, in nats.
        p, q: (S, N, k) of the plain and of a transformed view, for health.
    """

    losses: Tensor
    p: Tensor
    q: Tensor


class AgreementTask(StepTask):
    """Teaches heads, and the trunk unless it is frozen, to agree on two views.

    Adam at a constant rate that falls to 0 in the last steps. The idle head rests: it gets no
    gradient, not a zero one.

    Args:
        net: trunk and heads; those of its parameters that shall learn want gradients.
        turns: the draws.
        steps: total number of steps.
        rate: learning rate.
        decay: share of the steps, at the end, over which it falls to 0.
        seed: of this training.
        lowest: file that keeps the weights of the lowest loss of the main head.
    """

    best: Tensor
    strategy = "ddp_find_unused_parameters_true"  # one head rests

    def __init__(
        self,
        net: nn.Module,
        turns: Turns,
        steps: int,
        rate: float,
        decay: float,
        seed: int,
        lowest: Path | None = None,
    ):
        super().__init__(turns, steps, rate, seed)  # type: ignore[arg-type]
        self.net, self.turns, self.decay, self.lowest = net, turns, decay, lowest
        self.register_buffer("best", torch.tensor([torch.inf, 0.0]))  # loss and step

    def probe(self, head: str) -> Probe:
        """Answers for two views of what is watched."""
        raise NotImplementedError

    def accuracies(self, p: Tensor) -> dict[str, Any]:
        """Labelled accuracy of each sub-head, for the eye and for comparison only."""
        return {}

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch

    def train_dataloader(self) -> DataLoader[Any]:
        rank, world = self.global_rank, self.trainer.world_size
        part = self.turns.between(self.global_step, self.steps, rank, world)
        return DataLoader(part, batch_size=None)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=self.rate)
        falling = max(self.decay * self.steps, 1e-9)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, max(0.0, (self.steps - step) / falling))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.no_grad()
    def measures(self) -> dict[str, Any]:
        """The state of the training on what is watched: numbers for metrics.jsonl.

        Keeps the weights where the loss of the main head, of its best sub-head, is the lowest yet.
        """
        numbers: dict[str, Any] = {}
        for head in dict.fromkeys(self.turns.order):
            probe = self.probe(head)
            numbers[head] = short(probe.losses.mean())
            if head == "main" or len(numbers) == 1:
                best = int(probe.losses.argmin())
                health = clustering_health(probe.p[best], probe.q[best])
                state: dict[str, Any] = {name: short(value) for name, value in health.items()}
                state["sub_heads"] = [short(loss) for loss in probe.losses]
                state |= self.accuracies(probe.p)
                self._keep(probe.losses[best])
        return numbers | state

    def _keep(self, loss: Tensor) -> None:
        if self.lowest is None or not bool(loss < self.best[0]):
            return
        from frugalseg.weights import save_weights

        self.best[0], self.best[1] = loss, self.global_step
        save_weights(self.net, self.lowest.parent, self.lowest.name)


def sub_head_accuracies(p: Tensor, labels: NDArray[np.int64], classes: int) -> dict[str, Any]:
    """Labelled one-to-one accuracy of each sub-head.

    Args:
        p: (S, N, k).
        labels: (N,), -1 where unknown.
        classes: how many kinds of label there are.

    Returns:
        "accuracy", a list; empty where nothing is labelled.
    """
    from frugalseg.information import accuracy, confusion, one_to_one

    if (labels < 0).all():
        return {}
    found = []
    for answers in p.argmax(-1).cpu().numpy():
        counts = confusion(answers, labels, p.shape[-1], classes)
        found.append(round(accuracy(one_to_one(counts), answers, labels), 4))
    return {"accuracy": found}


def generator(key: int) -> torch.Generator:
    """Random numbers of a step, drawn on the CPU."""
    return torch.Generator().manual_seed(key % 2**63)


def short(value: Any) -> float:
    """A number as metrics.jsonl holds it."""
    return round(float(value), 5)
