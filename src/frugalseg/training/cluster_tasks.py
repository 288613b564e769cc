"""Lightning modules that teach a clustering: from images, or from features of a frozen trunk."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.cluster_runs import ClusterConfig, Plan
from frugalseg.information import (
    accumulate_iic,
    iic_loss,
    joint_from_counts,
    mutual_information,
    pair_counts,
)
from frugalseg.networks.heads import ClusterNet
from frugalseg.training.agreement import (
    AgreementTask,
    Draw,
    Probe,
    Turns,
    generator,
    sub_head_accuracies,
)
from frugalseg.training.views import plain_view, transformed_views

PROBE = 1000  # images on which the state of a training is measured


class ClusterTask(AgreementTask):
    """Teaches heads, and the trunk unless it is frozen, to agree on two views.

    Args:
        net: trunk and heads; those of its parameters that shall learn want gradients.
        turns: the draws.
        plan: how.
        config: of the run.
        seed: of this training.
        lowest: file that keeps the weights of the lowest loss of the main head.
        labels: (N,) by place, -1 where unknown; they are counted and never decide anything.
    """

    net: ClusterNet

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
        super().__init__(net, turns, plan.steps, plan.rate, config.decay, seed, lowest)
        self.plan, self.config, self.labels = plan, config, labels
        rng = np.random.default_rng((0, 7))
        watched = turns.places["main" if "main" in turns.order else "over"]
        self.watched = torch.from_numpy(rng.permutation(watched)[:PROBE])
        self.automatic_optimization = not config.part

    def assign(self, head: str, places: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Assignments of two views: ``(S, n, k)`` and ``(S, R, n, k)``."""
        raise NotImplementedError

    def training_step(self, batch: Any, index: int) -> Any:
        draw: Draw = batch
        weight = self.config.over_entropy_weight
        if draw.head == "main":
            weight = self.plan.entropy_weight
        if self.config.part:
            return {"loss": self._step_in_parts(draw, weight)}
        p, q = self.assign(draw.head, draw.places, generator(draw.key))
        return iic_loss(p, q, weight).mean()

    def _step_in_parts(self, draw: Draw, weight: float) -> Tensor:
        """One step of the optimiser on a batch that is computed part by part."""
        parts = list(enumerate(torch.split(draw.places, self.config.part or 1)))
        optimiser: Any = self.optimizers()
        optimiser.zero_grad()
        losses = accumulate_iic(  # views of a part come out alike in both passes
            lambda part: self.assign(draw.head, part[1], generator(draw.key * 61 + part[0])),
            parts,
            weight,
        )
        optimiser.step()
        schedule: Any = self.lr_schedulers()
        schedule.step()
        return losses.mean()

    def probe(self, head: str) -> Probe:
        """See :class:`AgreementTask`."""
        p, q = self.assign(head, self.watched, generator(self.seed))
        return Probe(-mutual_information(joint_from_counts(pair_counts(p, q))), p, q[:, 0])

    def accuracies(self, p: Tensor) -> dict[str, Any]:
        """See :class:`AgreementTask`."""
        if self.labels is None:
            return {}
        return sub_head_accuracies(p, self.labels[self.watched.numpy()], int(self.labels.max()) + 1)


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
