import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from frugalseg.metrics.cost import (
    StageTimer,
    count_multiply_adds,
    forget_peak_memory,
    peak_memory_bytes,
)


def test_multiply_adds_of_convolutions_and_matrix_products_by_hand():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # 32 * 48 * 8 * 3 * 9
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),  # 16 * 24 * 8 * 9
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),  # 80
    )
    by_hand = 32 * 48 * 8 * 3 * 9 + 16 * 24 * 8 * 9 + 80
    assert count_multiply_adds(network, torch.zeros(1, 3, 32, 48)) == by_hand
    assert count_multiply_adds(network, torch.zeros(2, 3, 32, 48)) == 2 * by_hand


def test_counting_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_multiply_adds(network, torch.randn(2, 3, 4, 4))
    assert network.training
    assert network[0].training
    assert not network[1].training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_stages_keep_their_order_and_median(monkeypatch):
    times = iter([0.0, 1.0, 10.0, 12.0, 20.0, 21.0, 30.0, 32.0, 40.0, 47.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    timer = StageTimer()
    for _ in range(2):
        with timer("decode"):
            pass
        with timer("segmenter"):
            pass
    with timer("decode"):
        pass
    assert timer.median() == {"decode": 1.0, "segmenter": 2.0, "total": 3.0}


def test_a_stage_that_fails_is_not_counted():
    timer = StageTimer()
    with pytest.raises(ZeroDivisionError), timer("warp"):
        _ = 1 // 0
    assert timer.median() == {"total": 0}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can forget")
def test_peak_memory_is_that_since_it_was_forgotten() -> None:
    size = 200_000_000
    block = np.ones(size, np.uint8)
    with_block = peak_memory_bytes()
    assert with_block >= size
    del block
    forget_peak_memory()
    after = peak_memory_bytes()
    assert after < with_block - 0.8 * size
    block = np.ones(size, np.uint8)
    del block
    assert peak_memory_bytes() > after + 0.8 * size
