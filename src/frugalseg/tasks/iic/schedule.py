"""Which head learns in which step, and from which images."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset


@dataclass(frozen=True)
class StepIndices:
    """The head and the images of one step.

    Attributes:
        head: the head that learns, "main" or "overcluster".
        indices: (n,) of images, counted among those of the training.
        key: seeds the random numbers of this step.
    """

    head: str
    indices: Tensor
    key: int


class HeadSchedule(IterableDataset[StepIndices]):
    """The heads learn in turn, and each goes through its images in rounds.

    Args:
        indices: the images of each head, counted among those of the training.
        head_order: the heads in the order of their turns.
        steps_per_head: steps of a turn.
        batch_size: images in a step.
        seed: shuffles the images.
        shuffle: draw a new order for each round; otherwise images come as they are numbered.
    """

    def __init__(
        self,
        indices: dict[str, NDArray[np.int64]],
        head_order: tuple[str, ...],
        steps_per_head: int,
        batch_size: int,
        seed: int,
        shuffle: bool = True,
    ):
        self.indices, self.head_order, self.steps_per_head = indices, head_order, steps_per_head
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.start, self.stop, self.rank, self.world = 0, 0, 0, 1

    def between(self, start: int, stop: int, rank: int = 0, world: int = 1) -> "HeadSchedule":
        """One process's part of the steps from ``start`` to ``stop - 1``."""
        part = copy.copy(self)
        part.start, part.stop, part.rank, part.world = start, stop, rank, world
        return part

    def head(self, step: int) -> str:
        """The head that learns in a step."""
        return self.head_order[(step // self.steps_per_head) % len(self.head_order)]

    def draw(self, step: int) -> StepIndices:
        """The head and the images of a step."""
        head, turn = self.head(step), self.steps_per_head
        cycle, within = divmod(step, turn * len(self.head_order))
        earlier = cycle * self.head_order.count(head) * turn
        earlier += sum(self.head_order[k // turn] == head for k in range(within))
        images = self.indices[head]
        numbers = np.arange(earlier * self.batch_size, (earlier + 1) * self.batch_size)
        rounds = numbers // len(images)
        chosen = np.empty(self.batch_size, np.int64)
        for r in np.unique(rounds):  # each image comes once a round
            order = np.arange(len(images))
            if self.shuffle:
                order = np.random.default_rng((self.seed, r)).permutation(len(images))
            chosen[rounds == r] = images[order[numbers[rounds == r] % len(images)]]
        own = torch.from_numpy(chosen[self.rank :: self.world])
        return StepIndices(head, own, (self.seed * 1_000_003 + step) * 1_009 + self.rank)

    def __iter__(self) -> Iterator[StepIndices]:
        return (self.draw(step) for step in range(self.start, self.stop))
