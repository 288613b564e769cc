"""Heads that softly assign images, or the places of their maps, to clusters; several at once.

A discovery assigns each place of the maps of features; a clustering assigns whole images, and is a
discovery whose maps are 1x1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg.models.backbone import Backbone


class SubHeads(nn.Module):
    """Several independent heads on the same features, computed together.

    Args:
        num_features: of the input.
        clusters: k, outputs of each head.
        sub_heads: S, number of heads.
        hidden: features of a hidden layer of each head; 0 for linear heads, as published.
        maps: whether the input is maps of features.
    """

    def __init__(
        self,
        num_features: int,
        clusters: int,
        sub_heads: int,
        hidden: int = 0,
        maps: bool = False,
    ) -> None:
        super().__init__()
        self.shape = (sub_heads, clusters)
        inputs = hidden or num_features
        self.hidden: nn.Module | None = None
        if hidden and maps:
            self.hidden = nn.Conv2d(num_features, sub_heads * hidden, 1)
        elif hidden:
            self.hidden = nn.Linear(num_features, sub_heads * hidden)
        # assignments begin nearly uniform (Ji et al. 2019); behind a hidden layer features are few
        deviation = 0.1 if hidden else 0.01
        if maps:
            # drawn as the weights of a convolution, after those that PyTorch draws first, so that a
            # seed gives the weights behind the numbers in results/
            layer = nn.Conv2d(inputs, sub_heads * clusters, 1)
            nn.init.normal_(layer.weight, 0.0, deviation)
            weight = layer.weight.detach().view(sub_heads, clusters, inputs).mT.contiguous()
        else:
            weight = torch.empty(sub_heads, inputs, clusters).normal_(0.0, deviation)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(sub_heads, 1, clusters))

    def forward(self, features: Tensor) -> Tensor:
        """Softly assign features to clusters.

        Args:
            features: ``(N, num_features)`` or maps ``(N, num_features, h, w)``.

        Returns:
            ``(S, N, k)`` or ``(S, N, k, h, w)`` float32, summing to 1 over k.
        """
        scores = self._of_maps(features) if features.ndim == 4 else self._of_vectors(features)
        # the softmax of half-precision scores would round small assignments away
        assignments: Tensor = scores.float().softmax(2)
        return assignments

    def _of_vectors(self, features: Tensor) -> Tensor:
        if self.hidden is None:
            # one product for all sub-heads: (N, F) x (F, S * k)
            joined = self.weight.permute(1, 0, 2).flatten(1)
            return (features @ joined).view(-1, *self.shape).transpose(0, 1) + self.bias
        inner = self.hidden(features).relu().view(len(features), self.shape[0], -1)
        return torch.baddbmm(self.bias, inner.transpose(0, 1), self.weight)

    def _of_maps(self, features: Tensor) -> Tensor:
        groups = 1
        if self.hidden is not None:
            features, groups = self.hidden(features).relu(), self.shape[0]
        kernel = self.weight.mT.flatten(0, 1)[..., None, None]
        scores = F.conv2d(features, kernel, self.bias.flatten(), groups=groups)
        return scores.view(len(scores), *self.shape, *scores.shape[2:]).transpose(0, 1)


class TwoHeadNet(nn.Module):
    """A backbone with a main head and an overclustering head.

    Args:
        backbone: from images to features, vectors or maps.
        clusters: k of the main head.
        overclusters: k of the overclustering head.
        sub_heads: S, of each head.
        hidden: see :class:`SubHeads`.
        components: number of principal components of the standardised features that the heads
            take, for frozen backbones (buffers ``centre``, ``spread`` and ``directions``); 0 to
            take the features themselves.
        merged: there is no main head of its own: each of its clusters is a group of those of the
            overclustering head (buffer ``groups``), which are centres: :meth:`set_centres`.
    """

    centre: Tensor
    spread: Tensor
    directions: Tensor
    groups: Tensor

    def __init__(
        self,
        backbone: Backbone,
        clusters: int,
        overclusters: int,
        sub_heads: int = 5,
        hidden: int = 0,
        components: int = 0,
        merged: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.clusters, self.merged = backbone, clusters, merged
        self.components = components = min(components, backbone.num_features)
        inputs, maps = components or backbone.num_features, bool(backbone.stride)
        if merged:
            self.register_buffer("groups", torch.arange(overclusters) % clusters)
        else:
            self.main = SubHeads(inputs, clusters, sub_heads, hidden, maps)
        self.overcluster = SubHeads(inputs, overclusters, sub_heads, hidden, maps)
        if components:
            self.register_buffer("centre", torch.zeros(backbone.num_features))
            self.register_buffer("spread", torch.ones(backbone.num_features))
            self.register_buffer("directions", torch.eye(backbone.num_features, components))

    def forward(self, images: Tensor, head: str = "main") -> Tensor:
        """Softly assign images, or their places, to clusters.

        Args:
            images: ``(N, C, H, W)`` in [0, 1].
            head: one of :data:`frugalseg.models.HEADS`.

        Returns:
            ``(S, N, k)``, or, for a backbone that gives maps, ``(S, N, k, h, w)`` at its
            resolution; :meth:`enlarge` brings them to that of the images.
        """
        return self.assign(self.reduce(self.backbone(images)), head)

    def reduce(self, features: Tensor) -> Tensor:
        """The heads' input, ``(N, D)`` or ``(N, D, h, w)``, from the backbone's features."""
        if not self.components:
            return features
        rows = features.movedim(1, -1)
        return project(rows, self.centre, self.spread, self.directions).movedim(-1, 1)

    def assign(self, reduced: Tensor, head: str = "main") -> Tensor:
        """As :meth:`forward`, from the output of :meth:`reduce`."""
        chosen = self.overcluster if self.merged or head == "overcluster" else self.main
        assignments: Tensor = chosen(reduced)
        if not self.merged or head == "overcluster":
            return assignments
        nearest = [assignments[:, :, self.groups == k].amax(2) for k in range(self.clusters)]
        grouped = torch.stack(nearest, 2)  # not sums, which would favour groups of many centres
        return grouped / grouped.sum(2, keepdim=True)

    @torch.no_grad()
    def set_centres(self, centres: Tensor, groups: Tensor, temperature: float) -> None:
        """Make the clusters of the overclustering head centres, and those of the main head groups.

        An input x belongs to centre c with a probability proportional to
        ``exp(-|x - c|^2 / temperature)``, and to a group as to the nearest centre of the group, so
        that the group of the nearest centre of all is the answer. The heads are linear, one of
        each.

        Args:
            centres: ``(overclusters, D)``.
            groups: ``(overclusters)`` the main head's cluster of each.
            temperature: in squared distances, above 0.
        """
        self.overcluster.weight.copy_(2 / temperature * centres.T[None])
        self.overcluster.bias.copy_(-centres.square().sum(1) / temperature)
        self.groups.copy_(groups)

    def enlarge(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge maps ``(..., k, h, w)`` to ``size``, that of the backbone's images."""
        flat = maps.reshape(-1, *maps.shape[-3:])
        larger = [side * self.backbone.stride for side in maps.shape[-2:]]
        flat = F.interpolate(flat, larger, mode="bilinear")[..., : size[0], : size[1]]
        return flat.reshape(*maps.shape[:-2], *size)


def project(features: Tensor, centre: Tensor, spread: Tensor, directions: Tensor) -> Tensor:
    """Standardise features, take their principal components, and scale each row to one length.

    Args:
        features: ``(..., F)``.
        centre, spread: ``(F)`` mean and standard deviation of each feature.
        directions: ``(F, D)`` orthonormal.

    Returns:
        ``(..., D)`` float32, with a mean square of 1 in each row.
    """
    reduced = ((features.float() - centre) / spread) @ directions
    lengths = reduced.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    scaled: Tensor = reduced / lengths * float(reduced.shape[-1]) ** 0.5
    return scaled


def principal_directions(
    features: Tensor, components: int, blocks: Sequence[int] = ()
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean, standard deviation and principal directions of features.

    Args:
        features: ``(N, F)``, any floating type.
        components: D, at most F.
        blocks: numbers of features that count alike: each block has the same total variance,
            however many features it has; by default each feature counts alike.

    Returns:
        ``(F)``, ``(F)`` and ``(F, D)``, float32, for :func:`project`; a constant feature is
        scaled by its block alone.
    """
    values = features.float()
    centre = values.mean(0)
    spread = ((values - centre) ** 2).mean(0).sqrt()
    spread = torch.where(spread > 1e-6, spread, 1)
    if blocks:
        counts = torch.tensor(blocks, device=spread.device)
        spread = spread * counts.repeat_interleave(counts).sqrt()
    standard = (values - centre) / spread
    covariance = (standard.T @ standard).double() / len(values)
    _, directions = torch.linalg.eigh(covariance)  # in ascending order of the eigenvalues
    return centre, spread, directions[:, -components:].flip(1).float()


class SupervisedNet(nn.Module):
    """A backbone with a classifier of one hidden layer, for fine-tuning with labels.

    The published one (Ji et al. 2019, STL10) takes the flattened maps of the third stage.

    Args:
        backbone: from images to features.
        classes: outputs.
        hidden: features of the hidden layer.
    """

    def __init__(self, backbone: Backbone, classes: int, hidden: int = 2048) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(
            nn.Linear(backbone.num_features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(N, classes)``, before softmax, of images ``(N, C, H, W)``."""
        scores: Tensor = self.head(self.backbone(images))
        return scores
