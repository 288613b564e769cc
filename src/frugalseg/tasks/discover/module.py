"""Lightning modules that teach a discovery: from images, or from features of a frozen backbone."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frugalseg.augment.config import DenseAugmentConfig
from frugalseg.augment.geometry import inside, warp
from frugalseg.augment.views import changed_view, plain_frame
from frugalseg.iic import iic_segmentation_loss
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.features import PixelStore
from frugalseg.tasks.iic.config import not_none
from frugalseg.tasks.iic.module import IICModule, MonitorOutputs, generator, sub_head_accuracies

PLACES = 20_000  # of all monitored images together, for diagnostics and accuracy


class DiscoverModule(IICModule):
    """Teaches heads, and the backbone unless it is frozen, to agree on two views, place by place.

    Attributes:
        classes: number of the labels' classes, only for measuring accuracy; 0 without labels.
    """

    config: DiscoverConfig
    views: DenseAugmentConfig
    num_monitored = 32
    num_judged = 128
    classes: int = 0

    def assign(
        self, head: str, indices: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Assignments of two views, both in the plain frame.

        Returns:
            Two of ``(S, n, k, h, w)``, and ``(n, h, w)`` whether a place counts.
        """
        raise NotImplementedError

    def parts(self, indices: Tensor) -> tuple[Tensor, ...]:
        return torch.split(indices, not_none(self.config.batch_size))

    def labels_of(self, indices: Tensor) -> Tensor | None:
        """(n, h, w) class indices at the places that are compared, 255 if unknown."""
        raise NotImplementedError

    def loss(self, head: str, answers: tuple[Any, ...], local: bool = False) -> Tensor:
        """(S) losses of the sub-heads (Ji et al. 2019, eq. 5), over all processes unless local."""
        p, q, valid = answers
        return iic_segmentation_loss(
            *(p, q, valid),
            max_displacement=not_none(self.config.max_displacement),
            entropy_weight=self.entropy_weight(head),
            per_displacement=self.config.per_displacement,
            local=local,
        )

    def monitor(self, head: str) -> MonitorOutputs:
        """See :class:`IICModule`; places are drawn among those of all monitored images."""
        return self.compare(head, self.monitored)

    @torch.no_grad()
    def compare(self, head: str, indices: Tensor) -> MonitorOutputs:
        """See :class:`IICModule`; answers are those at a sample of places."""
        losses, first, second = [], [], []
        parts = self.parts(indices)
        for k, part in enumerate(parts):
            p, q, valid = self.assign(head, part, generator(k))
            # local, since the main process measures alone: the others would never join a sum
            loss = self.loss(head, (p, q, valid), local=True)
            losses.append(loss * (len(part) / len(indices)))
            places = _places(valid, PLACES // len(parts), k)
            first.append(_at(p, places))
            second.append(_at(q, places))
        return MonitorOutputs(torch.stack(losses).sum(0), torch.cat(first, 1), torch.cat(second, 1))

    def accuracies(self, p: Tensor) -> dict[str, Any]:
        """See :class:`IICModule`."""
        if not self.classes:
            return {}
        answers, labels = [], []
        for part in self.parts(self.monitored):
            known = self.labels_of(part)
            if known is None:
                return {}
            maps, _, valid = self.assign("main", part, generator(0))
            answers.append(_at(maps, valid.flatten().nonzero()[:, 0]))
            labels.append(known[valid])
        truth: NDArray[np.int64] = torch.cat(labels).long().cpu().numpy()
        truth[truth == 255] = -1
        return sub_head_accuracies(torch.cat(answers, 1), truth, self.classes)


class PixelModule(DiscoverModule):
    """Teaches backbone and heads from images.

    Attributes:
        store: the images, and their labels if there are any.
    """

    store: PixelStore

    def assign(
        self, head: str, indices: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`DiscoverModule`; both views show the same piece of an image."""
        images, valid, labels = self._cut(indices, rng)
        other, geometry = changed_view(images, rng, self.views)
        p, q = self._answer(plain_frame(images, self.views), head), self._answer(other, head)
        back = geometry.inverse
        valid = _reduced(valid & (labels != 255) if self.config.masked else valid, p)
        return p, warp(q, back), valid & inside(back, p)

    def labels_of(self, indices: Tensor) -> Tensor | None:
        """See :class:`DiscoverModule`."""
        labels = self._cut(indices, generator(0))[2]
        size = self._size(labels.shape[-1])
        step = labels.shape[-1] / size
        index = ((torch.arange(size, device=labels.device) + 0.5) * step).long()
        chosen: Tensor = labels[:, index][:, :, index]
        return chosen

    def plain_views(self, indices: Tensor) -> Tensor:
        crop, store = not_none(self.config.crop), self.store.to(self.device)
        return plain_frame(store.cut(indices, store.centres(indices, crop), crop)[0], self.views)

    def _cut(self, indices: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        corners = self.store.corners(indices, not_none(self.config.crop), rng)
        return self.store.to(self.device).cut(indices, corners, not_none(self.config.crop))

    def _answer(self, images: Tensor, head: str) -> Tensor:
        answers: Tensor = self.net(images, head)
        size = self._size(images.shape[-1])
        if answers.shape[-1] == size:
            return answers
        return self.net.enlarge(answers, (size, size))

    def _size(self, crop: int) -> int:
        """Number of places along a side at which answers are compared."""
        stride: int = 1 if self.config.loss_at == "pixels" else self.net.backbone.stride
        return -(-crop // stride)


class MapModule(DiscoverModule):
    """Teaches heads on maps of features of a frozen backbone.

    Attributes:
        plain: (N, D, h, w) reduced features of the pictures.
        changed: (V, N, D, h, w) of changed views, in the plain frame.
        valid: (V, N, h, w) whether a place is in the view.
        labels: (N, h, w) class indices, 255 if unknown; None without labels.
    """

    plain: Tensor
    changed: Tensor
    valid: Tensor
    labels: Tensor | None = None

    def assign(
        self, head: str, indices: Tensor, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`DiscoverModule`; a changed view of each picture is drawn."""
        if self.plain.device != self.device:
            self.plain, self.changed, self.valid = (
                maps.to(self.device) for maps in (self.plain, self.changed, self.valid)
            )
        which = torch.randint(len(self.changed), (len(indices),), generator=rng)
        # cast first: under autocast, torch.cat on a CPU does not take half precision
        both = torch.cat([self.plain[indices].float(), self.changed[which, indices].float()])
        answers = self.net.assign(both, head)
        valid = self.valid[which, indices]
        return answers[:, : len(indices)], answers[:, len(indices) :], valid

    def labels_of(self, indices: Tensor) -> Tensor | None:
        """See :class:`DiscoverModule`."""
        return None if self.labels is None else self.labels[indices].to(self.device)


def _reduced(valid: Tensor, answers: Tensor) -> Tensor:
    """Whether all pixels of a place count, (n, h, w), from (n, H, W) for each pixel."""
    size = answers.shape[-1]
    if valid.shape[-1] == size:
        return valid
    share = torch.nn.functional.adaptive_avg_pool2d(valid[:, None].float(), size)
    return share[:, 0] > 1 - 1e-4


def _places(valid: Tensor, count: int, seed: int) -> Tensor:
    """Draw places that count; their indices among all places of the pictures."""
    known = valid.flatten().nonzero()[:, 0].cpu()
    order = torch.randperm(len(known), generator=generator(seed))[:count]
    return known[order]


def _at(answers: Tensor, places: Tensor) -> Tensor:
    """(S, N, k) answers, from (S, n, k, h, w), at the places with these indices."""
    heads, _, clusters = answers.shape[:3]
    rows = answers.permute(0, 1, 3, 4, 2).reshape(heads, -1, clusters)
    return rows[:, places.to(rows.device)]
