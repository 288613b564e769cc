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
        self.hidden = nn.Linear(num_features, sub_heads * hidden) if hidden else None
        self.weight = nn.Parameter(torch.empty(sub_heads, inputs, clusters))
        self.bias = nn.Parameter(torch.zeros(sub_heads, 1, clusters))
        # answers begin nearly uniform (Ji et al. 2019); behind a hidden layer features are few
        nn.init.normal_(self.weight, 0.0, 0.1 if hidden else 0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Soft assignments ``(S, N, k)`` of features ``(N, num_features)``."""
        if self.hidden is None:
            # one product for all sub-heads: (N, F) x (F, S * k)
            joined = self.weight.permute(1, 0, 2).flatten(1)
            scores = (features @ joined).view(-1, *self.shape).transpose(0, 1) + self.bias
        else:
            inner = self.hidden(features).relu().view(len(features), self.shape[0], -1)
            scores = torch.baddbmm(self.bias, inner.transpose(0, 1), self.weight)
        answers: Tensor = scores.softmax(-1)
        return answers


class ClusterNet(nn.Module):
    """A trunk with a main head and an overclustering head.

    Args:
        trunk: from images to features.
        clusters: k of the main head.
        over_clusters: k of the overclustering head.
        sub_heads: of each head.
        hidden: see :class:`SubHeads`.
        components: heads stand on so many principal components of standardised features, for
            frozen trunks: the buffers ``centre``, ``spread`` and ``directions``. 0 for the features
            as they are.
    """

    centre: Tensor
    spread: Tensor
    directions: Tensor

    def __init__(
        self,
        trunk: Trunk,
        clusters: int,
        over_clusters: int,
        sub_heads: int = 5,
        hidden: int = 0,
        components: int = 0,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.components = components = min(components, trunk.num_features)
        inputs = components or trunk.num_features
        self.main = SubHeads(inputs, clusters, sub_heads, hidden)
        self.over = SubHeads(inputs, over_clusters, sub_heads, hidden)
        if components:
            self.register_buffer("centre", torch.zeros(trunk.num_features))
            self.register_buffer("spread", torch.ones(trunk.num_features))
            self.register_buffer("directions", torch.eye(trunk.num_features, components))

    def forward(self, images: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k)`` of images ``(N, C, H, W)``; head is "main" or "over"."""
        return self.answer(self.trunk(images), head)

    def answer(self, features: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k)`` of what the trunk gives, ``(N, num_features)``."""
        return self.assign(self.reduce(features), head)

    def reduce(self, features: Tensor) -> Tensor:
        """What the heads stand on, of what the trunk gives."""
        if not self.components:
            return features
        return project(features, self.centre, self.spread, self.directions)

    def assign(self, reduced: Tensor, head: str = "main") -> Tensor:
        """Soft assignments ``(S, N, k)`` of what :meth:`reduce` gives."""
        chosen = {"main": self.main, "over": self.over}[head]
        answers: Tensor = chosen(reduced)
        return answers


def project(features: Tensor, centre: Tensor, spread: Tensor, directions: Tensor) -> Tensor:
    """Standardise features, take their principal components, bring each row to one length.

    Args:
        features: ``(N, F)``.
        centre, spread: ``(F)`` mean and standard deviation of each.
        directions: ``(F, D)`` orthonormal.

    Returns:
        ``(N, D)`` float32, of mean square 1 in each row.
    """
    reduced = ((features.float() - centre) / spread) @ directions
    lengths = reduced.norm(dim=1, keepdim=True).clamp_min(1e-12)
    scaled: Tensor = reduced / lengths * float(reduced.shape[1]) ** 0.5
    return scaled


def principal_directions(features: Tensor, components: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation and principal directions of features.

    Args:
        features: ``(N, F)``, any floating type.
        components: D, at most F.

    Returns:
        ``(F)``, ``(F)`` and ``(F, D)``, float32, for :func:`project`; a constant feature is not
        scaled.
    """
    values = features.float()
    centre = values.mean(0)
    spread = ((values - centre) ** 2).mean(0).sqrt()
    spread = torch.where(spread > 1e-6, spread, 1)
    standard = (values - centre) / spread
    covariance = (standard.T @ standard).double() / len(values)
    _, directions = torch.linalg.eigh(covariance)  # rising eigenvalues
    return centre, spread, directions[:, -components:].flip(1).float()


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
