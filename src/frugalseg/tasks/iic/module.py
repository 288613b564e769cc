"""Teach two heads that two views of the same thing get the same answer (Ji et al. 2019)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.engine._lightning import OptimizerLRScheduler
from frugalseg.engine.module import StepModule
from frugalseg.iic import clustering_diagnostics, one_to_one
from frugalseg.metrics.confusion import accuracy, as_classes, confusion
from frugalseg.models.backbone import settle_batch_norm
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.iic.config import IICConfig, not_none
from frugalseg.tasks.iic.schedule import HeadSchedule, StepIndices


@dataclass(frozen=True)
class MonitorOutputs:
    """Answers for two views of the images on which a training is measured.

    Attributes:
        losses: (S) of the sub-heads, in nats.
        p: (S, N, k) for the plain view.
        q: (S, N, k), or (S, R, N, k) for R transformed views.
    """

    losses: Tensor
    p: Tensor
    q: Tensor

    @property
    def best(self) -> int:
        """The sub-head of lowest loss."""
        return int(self.losses.argmin())

    def diagnostics(self) -> dict[str, float]:
        """Of the best sub-head, as :func:`frugalseg.iic.clustering_diagnostics` gives them."""
        q = self.q if self.q.dim() == 3 else self.q[:, 0]
        return clustering_diagnostics(self.p[self.best], q[self.best])


class IICModule(StepModule):
    """Teaches the heads, and the backbone unless it is frozen, to agree on two views.

    Adam at a constant rate that falls to 0 in the last steps. The idle head rests: it gets no
    gradient, not a zero one.

    Args:
        net: backbone and heads; parameters that require gradients learn.
        schedule: which head learns from which images.
        config: of the run, resolved.
        seed: of this training.
        data: the attributes that a subclass lists: what it learns from.
    """

    strategy = "ddp_find_unused_parameters_true"  # one head rests
    num_monitored = 0  # images on which the training is measured every 100 steps
    num_judged = 0  # images on which sub-heads and restarts are compared

    def __init__(
        self, net: TwoHeadNet, schedule: HeadSchedule, config: IICConfig, seed: int, **data: Any
    ):
        super().__init__(schedule, not_none(config.steps), not_none(config.learning_rate), seed)
        self.net, self.schedule, self.config, self.views = net, schedule, config, config.views
        for name, value in data.items():
            setattr(self, name, value)
        indices = schedule.indices["main" if "main" in schedule.head_order else "overcluster"]
        order = np.random.default_rng((0, 7)).permutation(indices)
        self.monitored = torch.from_numpy(order[: self.num_monitored])

    def assign(self, head: str, indices: Tensor, rng: torch.Generator) -> tuple[Any, ...]:
        """Assignments of two views of images, and what else :meth:`loss` takes."""
        raise NotImplementedError

    def loss(self, head: str, answers: tuple[Any, ...]) -> Tensor:
        """(S) losses of the sub-heads, over all processes."""
        raise NotImplementedError

    def training_step(self, batch: StepIndices, index: int) -> Any:
        answers = self.assign(batch.head, batch.indices, generator(batch.key))
        return self.loss(batch.head, answers).mean()

    def monitor(self, head: str) -> MonitorOutputs:
        """Answers of a head for the images that are monitored."""
        raise NotImplementedError

    def compare(self, head: str, indices: Tensor) -> MonitorOutputs:
        """Answers of a head for images, computed part by part, without gradient."""
        raise NotImplementedError

    def plain_views(self, indices: Tensor) -> Tensor:
        """Views of images as for predictions, if the backbone learns."""
        raise NotImplementedError

    def settle(self, indices: Tensor) -> None:
        """Fill batch norm with statistics of plain views, unless the backbone is frozen."""
        if not self.config.frozen:
            parts = (part for part in self.parts(indices) if len(part) > 1)
            settle_batch_norm(self.net.backbone, map(self.plain_views, parts))

    def parts(self, indices: Tensor) -> tuple[Tensor, ...]:
        """Images, in as many parts as it takes to compute them without gradients."""
        raise NotImplementedError

    def accuracies(self, p: Tensor) -> dict[str, Any]:
        """Labelled accuracy of each sub-head of the main head, for comparison only."""
        return {}

    def entropy_weight(self, head: str) -> float:
        """The weight of the entropy of a head's groups in its loss."""
        if head == "main":
            return self.config.entropy_weight
        return self.config.overcluster_entropy_weight

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = [p for p in self.net.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
        falling = max(self.config.decay * self.steps, 1e-9)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, max(0.0, (self.steps - step) / falling))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @torch.no_grad()
    def measures(self) -> dict[str, Any]:
        """Losses of both heads, and the diagnostics of the main one."""
        numbers: dict[str, Any] = {}
        state: dict[str, Any] = {}
        for head in dict.fromkeys(self.schedule.head_order):
            outputs = self.monitor(head)
            numbers[head] = short(outputs.losses.mean())
            if head == "main" or len(numbers) == 1:
                state = {name: short(value) for name, value in outputs.diagnostics().items()}
                state["sub_heads"] = [short(loss) for loss in outputs.losses]
                state |= self.accuracies(outputs.p)
        return numbers | state


def sub_head_accuracies(p: Tensor, labels: NDArray[np.int64], classes: int) -> dict[str, Any]:
    """Labelled one-to-one accuracy of each sub-head.

    Args:
        p: (S, N, k).
        labels: (N,), -1 if unknown.
        classes: number of classes.

    Returns:
        "accuracy", a list; empty if nothing is labelled.
    """
    if (labels < 0).all():
        return {}
    accuracies = []
    for answers in p.argmax(-1).cpu().numpy():
        counts = confusion(answers, labels, p.shape[-1], classes)
        accuracies.append(round(accuracy(as_classes(counts, one_to_one(counts))), 4))
    return {"accuracy": accuracies}


def generator(key: int) -> torch.Generator:
    """A source of random numbers on the CPU for one step."""
    return torch.Generator().manual_seed(key % 2**63)


def short(value: Any) -> float:
    """A number as metrics.jsonl holds it."""
    return round(float(value), 5)
