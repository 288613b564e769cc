"""A plain stand-in for the dense loss, until that of the package ``information`` is here."""

import torch
from torch import Tensor

from frugalseg.information import joint_from_counts, mutual_information


def iic_segmentation_loss(
    p: Tensor,
    q: Tensor,
    valid: Tensor | None = None,
    max_displacement: int = 10,
    entropy_weight: float = 1.0,
    per_displacement: bool = True,
) -> Tensor:
    if valid is not None:
        p = p * valid[:, None]
        q = q * valid[:, None]
    d, (h, w) = max_displacement, p.shape[-2:]
    counts = []
    for y in range(-d, d + 1):
        for x in range(-d, d + 1):
            a = p[..., max(0, y) : h + min(0, y), max(0, x) : w + min(0, x)]
            b = q[..., max(0, -y) : h + min(0, -y), max(0, -x) : w + min(0, -x)]
            counts.append(torch.einsum("...nahw,...nbhw->...ab", a, b))
    stacked = torch.stack(counts)
    return -mutual_information(joint_from_counts(stacked), entropy_weight).mean(0)
