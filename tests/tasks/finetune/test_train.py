from pathlib import Path

import torch

from frugalseg.models.backbone import build_backbone, third_stage
from frugalseg.tasks.base import train_only
from frugalseg.tasks.cluster.predict import ClusterRun
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.data import choose_parts
from frugalseg.tasks.finetune.model import load_finetune_run
from frugalseg.tasks.finetune.predict import answer_classes
from shapes import shapes, train


def test_a_classifier_learns_from_labels_and_moves_the_backbone(tmp_path: Path) -> None:
    images = shapes(60)
    train(tmp_path / "run", images, steps=1)
    config = FinetuneConfig(
        clustering=str(tmp_path / "run"),
        data="shapes",
        hold_out=0.5,
        steps=30,
        batch_size=30,
        learning_rate=0.02,
    )
    train_only(config, tmp_path / "tuned", data=images)
    tuned = load_finetune_run(tmp_path / "tuned")
    scored = choose_parts(config, images).scored
    assert tuned.state["learned"] == len(scored) == 30
    answers = answer_classes(tuned, images, scored).argmax(1)
    assert (answers == images.labels[scored]).mean() > 0.6
    before = dict(ClusterRun.load(tmp_path / "run").net.backbone.named_parameters())
    assert any(not torch.equal(before[n], p) for n, p in tuned.net.backbone.named_parameters())


def test_the_paper_fine_tunes_on_flattened_maps_of_the_third_stage() -> None:
    backbone = build_backbone("resnet34-iic", 2, 64)
    assert third_stage(backbone, 2, 64).num_features == 256 * 9 * 9  # their SupHead5
    other = build_backbone("vgg-iic", 1, 2)
    assert third_stage(other, 1, 24) is other
