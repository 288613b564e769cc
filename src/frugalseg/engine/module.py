"""A Lightning module that trains for a number of steps and can be interrupted at any of them."""

from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset

from frugalseg.engine._lightning import lightning


class StepStream(Protocol):
    """The batches of a training, by step."""

    def between(self, start: int, stop: int, rank: int = 0, world: int = 1) -> IterableDataset[Any]:
        """The batches of steps ``start`` to ``stop - 1``: one process's share of each."""


class StepModule(lightning.LightningModule):
    """A training of a number of steps, in one epoch.

    Each step seeds its random numbers by the seed and its own number, and the stream begins where
    the training does: an interrupted training ends with the same weights as an uninterrupted one.

    Args:
        stream: the batches.
        steps: total number of steps.
        learning_rate: the highest.
        seed: seed of the random numbers of each step.
    """

    strategy = "auto"  # of Lightning, if several processes train together

    def __init__(self, stream: StepStream, steps: int, learning_rate: float, seed: int):
        super().__init__()
        self.stream, self.steps, self.seed = stream, steps, seed
        self.learning_rate = learning_rate

    def train_dataloader(self) -> DataLoader[Any]:
        rank, world = self.global_rank, self.trainer.world_size
        part = self.stream.between(self.global_step, self.steps, rank, world)
        return DataLoader(part, batch_size=None)

    def on_train_start(self) -> None:
        self.train()  # Lightning does not set the mode itself

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.manual_seed((self.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank)

    def measures(self) -> dict[str, Any]:
        """Further numbers for a line of metrics.jsonl."""
        return {}

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch  # whole images stay on the CPU: only the pixels read from them are moved
