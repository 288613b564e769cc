"""Lightning modules that teach a clustering: from images, or from features of a frozen backbone."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.augment.config import AugmentConfig
from frugalseg.augment.views import plain_view, prediction_view, transformed_views
from frugalseg.iic import (
    accumulate_iic,
    iic_loss,
    joint_from_counts,
    mutual_information,
    pair_counts,
)
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.module import IICModule, MonitorOutputs, generator, sub_head_accuracies
from frugalseg.tasks.iic.schedule import StepIndices

PART = 200  # images computed at once without gradients


class ClusterModule(IICModule):
    """Teaches heads, and the backbone unless it is frozen, to agree on two views.

    Attributes:
        labels: (N,) of the training images, -1 if unknown; only for measuring accuracy.
    """

    config: ClusterConfig
    views: AugmentConfig
    num_monitored = 1000
    num_judged = 4000
    labels: NDArray[np.int64] | None = None

    def __init__(self, *arguments: Any, **data: Any):
        super().__init__(*arguments, **data)
        self.automatic_optimization = not self.config.micro_batch_size

    def assign(self, head: str, indices: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Assignments of two views: ``(S, n, k)`` and ``(S, R, n, k)``."""
        raise NotImplementedError

    def loss(self, head: str, answers: tuple[Any, ...]) -> Tensor:
        p, q = answers
        return iic_loss(p, q, self.entropy_weight(head))

    def parts(self, indices: Tensor) -> tuple[Tensor, ...]:
        return torch.split(indices, PART)

    def training_step(self, batch: StepIndices, index: int) -> Any:
        if self.config.micro_batch_size:
            return {"loss": self._step_in_parts(batch, self.entropy_weight(batch.head))}
        return super().training_step(batch, index)

    def _step_in_parts(self, step: StepIndices, weight: float) -> Tensor:
        """One step of the optimiser on a batch that is computed part by part."""
        parts = list(enumerate(torch.split(step.indices, self.config.micro_batch_size or 1)))
        optimiser: Any = self.optimizers()
        optimiser.zero_grad()
        losses = accumulate_iic(  # both passes draw the same views of a part
            lambda part: self.assign(step.head, part[1], generator(step.key * 61 + part[0])),
            parts,
            weight,
        )
        optimiser.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        return losses.mean()

    def monitor(self, head: str) -> MonitorOutputs:
        """See :class:`IICModule`."""
        p, q = self.assign(head, self.monitored, generator(self.seed))
        return MonitorOutputs(-mutual_information(joint_from_counts(pair_counts(p, q))), p, q)

    @torch.inference_mode()
    def compare(self, head: str, indices: Tensor) -> MonitorOutputs:
        """See :class:`IICModule`."""
        parts = [part for part in self.parts(indices) if len(part) > 1]
        answers = [self.assign(head, part, generator(k)) for k, part in enumerate(parts)]
        p, q = torch.cat([a for a, _ in answers], 1), torch.cat([b for _, b in answers], 2)
        return MonitorOutputs(iic_loss(p, q), p, q)

    def accuracies(self, p: Tensor) -> dict[str, Any]:
        """See :class:`IICModule`."""
        if self.labels is None:
            return {}
        labels = self.labels[self.monitored.numpy()]
        return sub_head_accuracies(p, labels, int(self.labels.max()) + 1)


class ImageModule(ClusterModule):
    """Teaches backbone and heads from images.

    Attributes:
        pixels: (N, C, side, side) uint8 of the training images.
    """

    pixels: Tensor

    def assign(self, head: str, indices: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """See :class:`ClusterModule`; the plain view is computed once for all others."""
        images = self.pixels[indices.to(self.pixels.device)].to(self.device)
        num_views = not_none(self.config.num_views)
        plain = self.net(plain_view(images, rng, self.views), head)
        others = self.net(transformed_views(images, num_views, rng, self.views), head)
        return plain, others.unflatten(1, (num_views, len(images)))

    def plain_views(self, indices: Tensor) -> Tensor:
        return prediction_view(self.pixels[indices].to(self.device), self.views)


class FeatureModule(ClusterModule):
    """Teaches heads on features of a frozen backbone.

    Views of an image are its own transformed views and its nearest images (Van Gansbeke et al.
    2020): features of a frozen backbone hardly change under transforms alone.

    Attributes:
        plain: (N, D) reduced features of the plain views of the training images.
        transformed: (V, N, D) of transformed views.
        near: (N, n) the nearest images; None if neighbours are not used.
    """

    plain: Tensor
    transformed: Tensor
    near: Tensor | None = None

    def assign(self, head: str, indices: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """See :class:`ClusterModule`: one plain view; one transformed view and one neighbour."""
        count = len(indices)
        which = torch.randint(len(self.transformed), (count,), generator=rng)
        pairs = [self.transformed[which, indices]]
        if self.near is not None:
            column = torch.randint(self.near.shape[1], (count,), generator=rng)
            beside = self.near[indices, column]
            which = torch.randint(len(self.transformed) + 1, (count,), generator=rng)
            shown = self.transformed[which.clamp_max(len(self.transformed) - 1), beside]
            plain = which == len(self.transformed)
            pairs.append(torch.where(plain[:, None], self.plain[beside], shown))
        stacked = torch.cat([self.plain[indices], *pairs]).to(self.device)
        answers = self.net.assign(stacked, head)
        answers = answers.view(len(answers), 1 + len(pairs), count, -1)
        return answers[:, 0], answers[:, 1:]
