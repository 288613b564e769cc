import numpy as np
import pytest
import torch
import torch.nn.functional as F

from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.config import LOSSES
from frugalseg.tasks.segment.losses import balanced_weights, jaccard_loss


def test_balanced_weights() -> None:
    shares = [0.64, 0.32, 0.04]
    weights = balanced_weights(shares).double()
    assert (weights * torch.tensor(shares)).sum().item() == pytest.approx(1)
    assert (weights[2] / weights[0]).item() == pytest.approx(4)
    absent = balanced_weights([0.9, 0.0, 0.1])
    assert absent[1] == absent[2]


def slow_jaccard(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes in the labels of sum(min-free soft IoU), pixel by pixel."""
    count = scores.shape[1]
    hits, sums, seen = np.zeros(count), np.zeros(count), np.zeros(count)
    for n, row, col in np.ndindex(labels.shape):
        label = labels[n, row, col]
        if label == 255:
            continue
        share = np.exp(scores[n, :, row, col])
        share /= share.sum()
        for c in range(count):
            hits[c] += share[c] * (label == c)
            sums[c] += share[c] + (label == c)
            seen[c] += label == c
    return float(1 - np.mean([hits[c] / (sums[c] - hits[c]) for c in range(count) if seen[c]]))


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, 4, 3, 5, generator=generator)
    labels = torch.randint(0, 3, (2, 3, 5), generator=generator)  # class 3 is absent
    labels[0, 0, :3] = 255
    return scores, labels


def test_jaccard_loss_against_its_definition() -> None:
    scores, labels = batch()
    slow = slow_jaccard(scores.double().numpy(), labels.numpy())
    assert jaccard_loss(scores, labels).item() == pytest.approx(slow, rel=1e-5)
    certain = F.one_hot(labels.clamp_max(3), 4).permute(0, 3, 1, 2) * 100.0
    assert jaccard_loss(certain, labels).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["cross-entropy", "balanced", "balanced-iou"])
def test_losses_leave_out_what_is_ignored(name: str) -> None:
    scores, labels = batch()
    loss = LOSSES[name]([0.5, 0.3, 0.15, 0.05])
    other = scores.clone()
    other[0, :, 0, :3] += torch.randn(4, 3)
    assert torch.allclose(loss(scores, labels), loss(other, labels))
    nothing = loss(scores.requires_grad_(), torch.full_like(labels, 255))
    nothing.backward()
    assert scores.grad is not None
    assert scores.grad.abs().max() == 0


def test_balanced_loss_is_a_weighted_mean() -> None:
    scores, labels = batch()
    shares = [0.5, 0.3, 0.15, 0.05]
    weights = balanced_weights(shares)
    known = labels != 255
    each = -scores.log_softmax(1).gather(1, labels.clamp_max(3)[:, None])[:, 0]
    slow = (each * weights[labels.clamp_max(3)])[known].mean()
    assert torch.allclose(LOSSES["balanced"](shares)(scores, labels), slow)


def test_unknown_loss() -> None:
    with pytest.raises(FrugalsegError, match=r"There is no loss .dice.: choose among balanced"):
        LOSSES.find("dice")
