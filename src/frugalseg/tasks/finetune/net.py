"""The network of a clustering or discovery with a classifier of features and groups on it."""

from typing import Any

import torch
from torch import Tensor, nn

from frugalseg.models.heads import TwoHeadNet
from frugalseg.models.stages import every_stage, num_stage_features
from frugalseg.tasks.finetune.probe import Classifier
from frugalseg.tasks.iic.model import IICRun


class ProbeNet(nn.Module):
    """The network of a clustering or discovery with a classifier of its features and finer groups.

    The features are those of all stages of a timm model, of which the discovery sees some.

    Args:
        source: backbone and heads, which are shared.
        head: of the finer groups.
        sub_head: the one of its sub-heads that answers.
        classes: C.
    """

    weight: Tensor
    bias: Tensor
    names: Tensor
    share: Tensor

    def __init__(self, source: TwoHeadNet, head: str, sub_head: int, classes: int) -> None:
        super().__init__()
        self.source, self.head, self.sub_head = source, head, sub_head
        groups = getattr(source, head).shape[1]
        number = num_stage_features(source.backbone)
        self.register_buffer("weight", torch.zeros(classes, number))
        self.register_buffer("bias", torch.zeros(classes))
        self.register_buffer("names", torch.zeros(groups, classes))
        self.register_buffer("share", torch.zeros(()))

    def set_classifier(self, classifier: Classifier) -> None:
        """Take over what has been learned."""
        for name, value in vars(classifier).items():
            getattr(self, name).copy_(torch.as_tensor(value))

    def inputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(N, F, h, w)`` and finer groups ``(N, K, h, w)``, summing to 1 over K.

        On a clustering, ``(N, F)`` and ``(N, K)``.
        """
        stages = every_stage(self.source.backbone, images)
        seen = getattr(self.source.backbone.network, "indices", [0])
        joined = torch.cat([stages[index] for index in seen], 1)
        soft = self.source.assign(self.source.reduce(joined), self.head)[self.sub_head]
        return torch.cat(list(stages.values()), 1).float(), soft

    def forward(self, images: Tensor) -> Tensor:
        """Class probabilities ``(N, C, h, w)``, or ``(N, C)``, of images in [0, 1]."""
        features, soft = (part.movedim(1, -1) for part in self.inputs(images))
        probed = (features @ self.weight.T + self.bias).softmax(-1)
        answers: Tensor = self.share * probed + (1 - self.share) * (soft @ self.names)
        return answers.movedim(-1, 1)


def probe_net(run: IICRun[Any], classes: int) -> ProbeNet:
    """The network of a clustering or discovery with a classifier that has learned nothing.

    If the run has no finer groups, its groups stand for them.
    """
    finer = "overcluster" in run.config.head_order
    sub_head = run.overcluster_sub_head if finer else run.sub_head
    return ProbeNet(run.net, "overcluster" if finer else "main", sub_head, classes)
