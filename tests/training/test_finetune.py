from pathlib import Path

import torch

from frugalseg.cluster_runs import load_cluster_run
from frugalseg.finetune_runs import FinetuneConfig, load_finetune_run
from frugalseg.networks.trunks import build_trunk, third_stage
from frugalseg.training.finetune import answer_classes, train_finetuning
from frugalseg.training.finetune_plan import choose_parts
from frugalseg.training.views import Views
from shapes import shapes, train


def test_a_classifier_learns_from_labels_and_moves_the_trunk(tmp_path: Path) -> None:
    images = shapes(60)
    train(tmp_path / "run", images, steps=1)
    config = FinetuneConfig(
        run=str(tmp_path / "run"), data="shapes", hold_out=0.5, steps=30, batch=30, rate=0.02
    )
    train_finetuning(config, images, tmp_path / "tuned", progress=False)
    tuned = load_finetune_run(tmp_path / "tuned")
    scored = choose_parts(config, images).scored
    assert tuned.state["learned"] == len(scored) == 30
    answers = answer_classes(tuned.net, images, scored, Views(**tuned.views)).argmax(1)
    assert (answers == images.labels[scored]).mean() > 0.6
    before = dict(load_cluster_run(tmp_path / "run").net.trunk.named_parameters())
    assert any(not torch.equal(before[n], p) for n, p in tuned.net.trunk.named_parameters())


def test_the_paper_fine_tunes_on_flattened_maps_of_the_third_stage() -> None:
    trunk = build_trunk("resnet34-iic", 2, 64)
    assert third_stage(trunk, 2, 64).num_features == 256 * 9 * 9  # their SupHead5
    other = build_trunk("vgg-iic", 1, 2)
    assert third_stage(other, 1, 24) is other
