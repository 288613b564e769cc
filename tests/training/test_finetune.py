from pathlib import Path

import numpy as np
import pytest
import torch

from frugalseg.cluster_runs import load_cluster_run
from frugalseg.errors import FrugalsegError
from frugalseg.networks.trunks import build_trunk, third_stage
from frugalseg.training.finetune import fine_tune
from shapes import shapes, train


def test_a_classifier_learns_from_labels_and_moves_the_trunk(tmp_path: Path) -> None:
    images = shapes(60)
    train(tmp_path / "run", images, steps=1)
    run = load_cluster_run(tmp_path / "run")
    before = {name: value.clone() for name, value in run.net.trunk.named_parameters()}
    labelled, test = np.arange(30), np.arange(30, 60)
    found = fine_tune(
        *(run, images, labelled, test, tmp_path / "tuned"),
        steps=30,
        batch=30,
        rate=0.02,
        progress=False,
    )
    assert found["labels"] == 30
    assert found["accuracy"] > 0.6
    assert any(not torch.equal(before[n], p) for n, p in run.net.trunk.named_parameters())
    images.labels[4] = -1
    with pytest.raises(FrugalsegError, match="needs labels"):
        fine_tune(run, images, labelled, test, tmp_path / "other", progress=False)


def test_the_paper_fine_tunes_on_flattened_maps_of_the_third_stage() -> None:
    trunk = build_trunk("resnet34-iic", 2, 64)
    assert third_stage(trunk, 2, 64).num_features == 256 * 9 * 9  # their SupHead5
    other = build_trunk("vgg-iic", 1, 2)
    assert third_stage(other, 1, 24) is other
