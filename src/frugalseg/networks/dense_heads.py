"""Heads of a discovery: from maps of features to maps of soft assignments, several at once."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frugalseg.networks.dense import DenseTrunk
from frugalseg.networks.heads import project


class DenseSubHeads(nn.Module):
    """Several independent heads on the same maps, computed together.

    Args:
        num_features: of the input.
        clusters: k, outputs of each.
        sub_heads: S, how many.
        hidden: features of a hidden layer of each; 0 for one 1x1 convolution.
        ring: a border of undecided places around the answers, and no bias, as published.
    """

    def __init__(
        self,
        num_features: int,
        clusters: int,
        sub_heads: int,
        hidden: int = 0,
        ring: bool = False,
    ) -> None:
        super().__init__()
        self.shape = (sub_heads, clusters)
        self.ring = int(ring)
        self.inner = nn.Conv2d(num_features, sub_heads * hidden, 1) if hidden else None
        inputs, groups = (sub_heads * hidden, sub_heads) if hidden else (num_features, 1)
        self.outer = nn.Conv2d(inputs, sub_heads * clusters, 1, groups=groups, bias=not ring)
        # answers begin nearly uniform; behind a hidden layer features are few
        nn.init.normal_(self.outer.weight, 0.0, 0.1 if hidden else 0.01)
        if self.outer.bias is not None:
            nn.init.zeros_(self.outer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Soft assignments ``(S, N, k, h, w)`` of features ``(N, num_features, h, w)``."""
        if self.inner is not None:
            features = self.inner(features).relu()
        scores = F.pad(self.outer(features), [self.ring] * 4)
        # the softmax of half-precision scores would round small answers away
        stacked = scores.float().view(len(scores), *self.shape, *scores.shape[2:])
        return stacked.softmax(2).transpose(0, 1)


class DiscoverNet(nn.Module):
    """A dense trunk with a main head and an overclustering head.

    Args:
        trunk: from images to maps of features.
        clusters: k of the main head.
        over_clusters: k of the overclustering head.
        sub_heads: of each head.
        hidden: see :class:`DenseSubHeads`.
        components: heads stand on so many principal components of standardised features, for
            frozen trunks; 0 for the features as they are.
        ring: see :class:`DenseSubHeads`.
    """

    centre: Tensor
    spread: Tensor
    directions: Tensor

    def __init__(
        self,
        trunk: DenseTrunk,
        clusters: int,
        over_clusters: int,
        sub_heads: int = 5,
        hidden: int = 0,
        components: int = 0,
        ring: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.components = components = min(components, trunk.num_features)
        inputs = components or trunk.num_features
        self.main = DenseSubHeads(inputs, clusters, sub_heads, hidden, ring)
        self.over = DenseSubHeads(inputs, over_clusters, sub_heads, hidden, ring)
        if components:
            self.register_buffer("centre", torch.zeros(trunk.num_features))
            self.register_buffer("spread", torch.ones(trunk.num_features))
            self.register_buffer("directions", torch.eye(trunk.num_features, components))

    def forward(self, images: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k, h, w)`` of images ``(N, C, H, W)`` in [0, 1].

        They come at the trunk's resolution; :meth:`enlarge` brings them to that of the images.
        """
        return self.assign(self.reduce(self.trunk(images)), head)

    def reduce(self, features: Tensor) -> Tensor:
        """What the heads stand on, ``(N, D, h, w)``, of what the trunk gives."""
        if not self.components:
            return features
        rows = features.permute(0, 2, 3, 1).flatten(0, 2)
        reduced = project(rows, self.centre, self.spread, self.directions)
        shape = (len(features), *features.shape[2:], -1)
        return reduced.view(shape).permute(0, 3, 1, 2)

    def assign(self, reduced: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k, h, w)`` of what :meth:`reduce` gives."""
        answers: Tensor = {"main": self.main, "over": self.over}[head](reduced)
        return answers

    def enlarge(self, answers: Tensor, size: tuple[int, int]) -> Tensor:
        """Bring maps ``(..., k, h, w)`` to ``(..., k, *size)``, that of the trunk's images."""
        flat = answers.reshape(-1, *answers.shape[-3:])
        stride, (height, width) = self.trunk.stride, size
        if self.trunk.stretched:
            flat = F.interpolate(flat, size, mode="bilinear")
        else:
            larger = (flat.shape[-2] * stride, flat.shape[-1] * stride)
            flat = F.interpolate(flat, larger, mode="bilinear")[..., :height, :width]
        return flat.reshape(*answers.shape[:-2], *size)
