"""Lightning modules that teach a discovery: from images, or from features of a frozen trunk."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.discover_runs import DiscoverConfig, DiscoverPlan
from frugalseg.information import iic_segmentation_loss
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.training.agreement import (
    AgreementTask,
    Draw,
    Probe,
    Turns,
    generator,
    sub_head_accuracies,
)
from frugalseg.training.dense_views import DenseViews, changed_view, inside, plain_frame, warp
from frugalseg.training.pixel_store import PixelStore

PROBE = 32  # pictures on which the state of a training is measured
PLACES = 20_000  # of them, for health and accuracy


class DiscoverTask(AgreementTask):
    """Teaches heads, and the trunk unless it is frozen, to agree on two views, place by place.

    Args:
        net: trunk and heads; those of its parameters that shall learn want gradients.
        turns: the draws.
        plan: how.
        config: of the run.
        seed: of this training.
        lowest: file that keeps the weights of the lowest loss of the main head.
        kinds: how many classes the labels have; they are counted and never decide anything.
    """

    net: DiscoverNet

    def __init__(
        self,
        net: DiscoverNet,
        turns: Turns,
        plan: DiscoverPlan,
        config: DiscoverConfig,
        seed: int,
        lowest: Path | None = None,
        kinds: int = 0,
    ):
        super().__init__(net, turns, plan.steps, plan.rate, config.decay, seed, lowest)
        self.plan, self.config, self.kinds = plan, config, kinds
        rng = np.random.default_rng((0, 7))
        self.watched = torch.from_numpy(rng.permutation(turns.places["main"])[:PROBE])

    def assign(
        self, head: str, places: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Assignments of two views, both in the plain frame.

        Returns:
            Two of ``(S, n, k, h, w)``, and ``(n, h, w)`` whether a place counts.
        """
        raise NotImplementedError

    def labels_of(self, places: Tensor) -> Tensor | None:
        """(n, h, w) class indices where answers are compared, 255 where unknown; of the watched."""
        return None

    def loss(
        self, head: str, answers: tuple[Tensor, Tensor, Tensor], local: bool = False
    ) -> Tensor:
        """(S) losses of the sub-heads (Ji et al. 2019, eq. 5), over all processes unless local."""
        weight = self.config.over_entropy_weight
        if head == "main":
            weight = self.plan.entropy_weight
        reach, each = self.plan.displacement, self.config.per_displacement
        return iic_segmentation_loss(
            *answers,
            max_displacement=reach,
            entropy_weight=weight,
            per_displacement=each,
            local=local,
        )

    def training_step(self, batch: Any, index: int) -> Any:
        draw: Draw = batch
        return self.loss(draw.head, self.assign(draw.head, draw.places, generator(draw.key))).mean()

    def probe(self, head: str) -> Probe:
        """See :class:`AgreementTask`; places are drawn among those of all watched pictures."""
        losses, p, q = self.compare(head, self.watched)
        return Probe(losses, p, q)

    def compare(self, head: str, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Losses (S) over pictures, in parts, and answers (S, N, k) of two views at some places."""
        losses, first, second = [], [], []
        parts = torch.split(places, self.plan.batch)
        for k, part in enumerate(parts):
            p, q, valid = self.assign(head, part, generator(k))
            # the main process alone measures a training: the others would never join a sum
            loss = self.loss(head, (p, q, valid), local=True)
            losses.append(loss * (len(part) / len(places)))
            some = _places(valid, PLACES // len(parts), k)
            first.append(_at(p, some))
            second.append(_at(q, some))
        return torch.stack(losses).sum(0), torch.cat(first, 1), torch.cat(second, 1)

    def accuracies(self, p: Tensor) -> dict[str, Any]:
        """See :class:`AgreementTask`."""
        if not self.kinds:
            return {}
        answers, labels = [], []
        for part in torch.split(self.watched, self.plan.batch):
            known = self.labels_of(part)
            if known is None:
                return {}
            maps, _, valid = self.assign("main", part, generator(0))
            answers.append(_at(maps, valid.flatten().nonzero()[:, 0]))
            labels.append(known[valid])
        truth: NDArray[np.int64] = torch.cat(labels).long().cpu().numpy()
        truth[truth == 255] = -1
        return sub_head_accuracies(torch.cat(answers, 1), truth, self.kinds)


class PixelTask(DiscoverTask):
    """Teaches trunk and heads from images.

    Args:
        store: the images; labels where they are known.
        views: how views are made.
        others: as :class:`DiscoverTask`.
    """

    def __init__(self, *arguments: Any, store: PixelStore, views: DenseViews, **others: Any):
        super().__init__(*arguments, **others)
        self.store, self.views = store, views

    def assign(
        self, head: str, places: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`DiscoverTask`; a piece is cut from each image, the same for both views."""
        images, valid, labels = self._cut(places, rng)
        other, geometry = changed_view(images, rng, self.views)
        p, q = self._answer(plain_frame(images, self.views), head), self._answer(other, head)
        back = geometry.inverse
        valid = _reduced(valid & (labels != 255) if self.config.masked else valid, p)
        return p, warp(q, back), valid & inside(back, p)

    def labels_of(self, places: Tensor) -> Tensor | None:
        """See :class:`DiscoverTask`."""
        labels = self._cut(places, generator(0))[2]
        size = self._size(labels.shape[-1])
        step = labels.shape[-1] / size
        index = ((torch.arange(size, device=labels.device) + 0.5) * step).long()
        chosen: Tensor = labels[:, index][:, :, index]
        return chosen

    def _cut(self, places: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        corners = self.store.corners(places, self.plan.crop, rng)
        return self.store.to(self.device).cut(places, corners, self.plan.crop)

    def _answer(self, images: Tensor, head: str) -> Tensor:
        answers: Tensor = self.net(images, head)
        size = self._size(images.shape[-1])
        if answers.shape[-1] == size:
            return answers
        return self.net.enlarge(answers, (size, size))

    def _size(self, crop: int) -> int:
        """Places along a side where answers are compared."""
        stride: int = 1 if self.plan.loss_at == "pixels" else self.net.trunk.stride
        return -(-crop // stride)


class MapTask(DiscoverTask):
    """Teaches heads on maps of features of a frozen trunk.

    Args:
        plain: (N, D, h, w) reduced features of the pictures.
        changed: (V, N, D, h, w) of changed views, in the plain frame.
        valid: (V, N, h, w) whether a place is in the view.
        labels: (N, h, w) class indices, 255 where unknown; None where there are none.
        others: as :class:`DiscoverTask`.
    """

    def __init__(
        self,
        *arguments: Any,
        plain: Tensor,
        changed: Tensor,
        valid: Tensor,
        labels: Tensor | None = None,
        **others: Any,
    ):
        super().__init__(*arguments, **others)
        self.plain, self.changed, self.valid, self.labels = plain, changed, valid, labels

    def assign(
        self, head: str, places: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`DiscoverTask`; a changed view of each picture is drawn."""
        which = torch.randint(len(self.changed), (len(places),), generator=rng)
        self._follow()
        # cast before they are joined: autocast on a CPU joins no halves
        both = torch.cat([self.plain[places].float(), self.changed[which, places].float()])
        answers = self.net.assign(both, head)
        valid = self.valid[which, places]
        return answers[:, : len(places)], answers[:, len(places) :], valid

    def _follow(self) -> None:
        """Bring the maps to the network's device, once."""
        if self.plain.device != self.device:
            for name in ("plain", "changed", "valid"):
                setattr(self, name, getattr(self, name).to(self.device))

    def labels_of(self, places: Tensor) -> Tensor | None:
        """See :class:`DiscoverTask`."""
        return None if self.labels is None else self.labels[places].to(self.device)


def _reduced(valid: Tensor, answers: Tensor) -> Tensor:
    """(n, h, w) of (n, H, W): whether all pixels of a place count."""
    size = answers.shape[-1]
    if valid.shape[-1] == size:
        return valid
    share = torch.nn.functional.adaptive_avg_pool2d(valid[:, None].float(), size)
    return share[:, 0] > 1 - 1e-4


def _places(valid: Tensor, count: int, seed: int) -> Tensor:
    """Numbers of some of the places that count, among all places of the pictures."""
    known = valid.flatten().nonzero()[:, 0].cpu()
    order = torch.randperm(len(known), generator=generator(seed))[:count]
    return known[order]


def _at(answers: Tensor, places: Tensor) -> Tensor:
    """(S, N, k) answers of (S, n, k, h, w) at the places of given numbers."""
    heads, _, clusters = answers.shape[:3]
    rows = answers.permute(0, 1, 3, 4, 2).reshape(heads, -1, clusters)
    return rows[:, places.to(rows.device)]
