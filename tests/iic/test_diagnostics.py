import math

import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from frugalseg.iic import clustering_diagnostics


def test_against_scipy():
    p = (2 * torch.randn(50, 6, generator=torch.Generator().manual_seed(0))).softmax(-1).double()
    diagnostics = clustering_diagnostics(p, p.flip(0))
    assert diagnostics["balance"] == pytest.approx(scipy_entropy(p.mean(0)) / math.log(6))
    assert diagnostics["entropy"] == pytest.approx(scipy_entropy(p, axis=1).mean() / math.log(6))
    assert diagnostics["agreement"] == pytest.approx(
        (p.argmax(1) == p.flip(0).argmax(1)).double().mean()
    )


def test_collapse_and_indecision_are_told_apart():
    collapsed = clustering_diagnostics(torch.eye(4)[[0] * 20])
    assert collapsed["balance"] == pytest.approx(0, abs=1e-9)
    assert (collapsed["used"], collapsed["largest"]) == (1, 1)
    undecided = clustering_diagnostics(torch.full((20, 4), 0.25))
    assert undecided["entropy"] == pytest.approx(1)
    with pytest.raises(ValueError, match="at least 2"):
        clustering_diagnostics(torch.ones(5, 1))
