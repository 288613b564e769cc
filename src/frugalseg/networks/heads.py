"""Heads of a clustering: from features to soft assignments, several sub-heads at once."""

import torch
from torch import Tensor, nn

from frugalseg.networks.trunks import Trunk

HEADS = ("main", "over")


class SubHeads(nn.Module):
    """Several independent heads on the same features, computed together.

    Args:
        num_features: of the input.
        clusters: k, outputs of each.
        sub_heads: S, how many.
        hidden: features of a hidden layer of each; 0 for linear heads, as published.
    """

    def __init__(self, num_features: int, clusters: int, sub_heads: int, hidden: int = 0) -> None:
        super().__init__()
        self.shape = (sub_heads, clusters)
        inputs = hidden or num_features
        if hidden:
            self.hidden = nn.Linear(num_features, sub_heads * hidden)
        else:
            self.hidden = None
        self.weight = nn.Parameter(torch.empty(sub_heads, inputs, clusters))
        self.bias = nn.Parameter(torch.zeros(sub_heads, 1, clusters))
        # answers begin nearly uniform (Ji et al. 2019); behind a hidden layer features are few
        nn.init.normal_(self.weight, 0.0, 0.1 if hidden else 0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Soft assignments ``(S, N, k)`` of features ``(N, num_features)``."""
        if self.hidden is None:
            # one product for all sub-heads: (N, F) x (F, S * k)
            joined = self.weight.permute(1, 0, 2).flatten(1)
            scores = (features @ joined).unflatten(1, self.shape).transpose(0, 1) + self.bias
        else:
            inner = self.hidden(features).relu().unflatten(1, (self.shape[0], -1))
            scores = torch.baddbmm(self.bias, inner.transpose(0, 1), self.weight)
        return scores.softmax(-1)


class ClusterNet(nn.Module):
    """A trunk with a main head and an overclustering head.

    Args:
        trunk: from images to features.
        clusters: k of the main head.
        over_clusters: k of the overclustering head.
        sub_heads: of each head.
        hidden: see :class:`SubHeads`.
        standard: features are shifted and scaled by the buffers ``centre`` and ``spread`` and
            brought to the same length, for heads on frozen features.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        trunk: Trunk,
        clusters: int,
        over_clusters: int,
        sub_heads: int = 5,
        hidden: int = 0,
        standard: bool = False,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.standard = standard
        self.main = SubHeads(trunk.num_features, clusters, sub_heads, hidden)
        self.over = SubHeads(trunk.num_features, over_clusters, sub_heads, hidden)
        if standard:
            self.register_buffer("centre", torch.zeros(trunk.num_features))
            self.register_buffer("spread", torch.ones(trunk.num_features))

    def forward(self, images: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k)`` of images ``(N, C, H, W)``; head is "main" or "over"."""
        return self.answer(self.trunk(images), head)

    def answer(self, features: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k)`` of what the trunk gives, ``(N, num_features)``."""
        if self.standard:
            features = standardise(features, self.centre, self.spread)
        chosen = {"main": self.main, "over": self.over}[head]
        answers: Tensor = chosen(features)
        return answers


def standardise(features: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """Shift and scale each feature, then bring each row to the length ``sqrt(F)``.

    Args:
        features: ``(N, F)``.
        centre, spread: ``(F)``.

    Returns:
        ``(N, F)`` float32, of mean square 1 in each row.
    """
    shifted = (features.float() - centre) / spread
    return nn.functional.normalize(shifted, dim=1) * shifted.shape[1] ** 0.5


class SupervisedNet(nn.Module):
    """A trunk with a classifier of one hidden layer, for fine-tuning with labels.

    The published one (Ji et al. 2019, STL10) stands on the flattened maps of the third stage.

    Args:
        trunk: from images to features.
        classes: outputs.
        hidden: features of the hidden layer.
    """

    def __init__(self, trunk: Trunk, classes: int, hidden: int = 2048) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = nn.Sequential(
            nn.Linear(trunk.num_features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``(N, classes)``, before softmax, of images ``(N, C, H, W)``."""
        scores: Tensor = self.head(self.trunk(images))
        return scores
