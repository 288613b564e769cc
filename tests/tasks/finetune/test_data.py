import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from frugalseg.augment.config import PRESETS
from frugalseg.augment.views import prediction_view
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.predict import ClusterRun
from frugalseg.tasks.finetune.config import FinetuneConfig
from frugalseg.tasks.finetune.data import choose_augmentation, choose_parts, draw
from shapes import shapes, train


def test_a_set_with_train_and_test_is_scored_on_its_test() -> None:
    images = shapes(60)
    images.splits.update(train=np.arange(40), test=np.arange(40, 60))
    parts = choose_parts(FinetuneConfig(), images)
    assert parts.split == "test"
    assert parts.learned.tolist() == list(range(40))
    assert parts.scored.tolist() == list(range(40, 60))
    few = choose_parts(FinetuneConfig(share=0.1), images)
    assert set(few.learned) < set(parts.learned)
    assert few.scored.tolist() == parts.scored.tolist()
    whole = choose_parts(FinetuneConfig(split="all"), images)
    assert whole.split == "held out"
    assert len(whole.learned) + len(whole.scored) == 60
    assert not set(whole.learned) & set(whole.scored)


def test_shares_are_of_each_class_and_grow() -> None:
    labels = np.array([0] * 50 + [1] * 10 + [2])
    everything = np.arange(61)
    some = draw(labels, everything, 0.2, seed=3, at_least=1)
    assert np.bincount(labels[some]).tolist() == [10, 2, 1]
    more = draw(labels, everything, 0.5, seed=3, at_least=1)
    assert set(some) < set(more)
    held = draw(labels, everything, 0.9, seed=3, at_least=0)
    assert np.bincount(labels[held], minlength=3).tolist() == [45, 9, 0]
    assert draw(labels, everything, 0.0, seed=3, at_least=0).tolist() == []


def test_images_without_labels_are_neither_learned_nor_scored() -> None:
    images = shapes(30)
    assert images.labels is not None
    images.labels[::2] = -1
    parts = choose_parts(FinetuneConfig(), images)
    assert set(parts.learned) | set(parts.scored) == set(range(1, 30, 2))
    with pytest.raises(FrugalsegError, match="has no labels"):
        choose_parts(FinetuneConfig(), dataclasses.replace(images, labels=None))


def test_views_are_the_runs_or_the_published_ones(tmp_path: Path) -> None:
    train(tmp_path / "run", steps=1)
    run = ClusterRun.load(tmp_path / "run")
    assert choose_augmentation(FinetuneConfig(), run) == run.config.views
    stl = dataclasses.replace(
        run.config, augment="stl", augment_options={}, backbone="resnet34-iic"
    )
    other = dataclasses.replace(run, config=stl)
    assert choose_augmentation(FinetuneConfig(), other) == PRESETS["stl-supervised"]
    changed = choose_augmentation(FinetuneConfig(augment_options={"cut": 0.0}), other)
    assert changed.cut == 0


def test_views_at_corners_are_the_corners() -> None:
    views = dataclasses.replace(PRESETS["digits"], side=24, size=22)  # pixels as they are
    images = torch.rand(2, 1, 24, 24)
    corner = prediction_view(images, views, (-1, 1))
    torch.testing.assert_close(corner, images[..., :22, 2:], rtol=1e-4, atol=1e-5)
    mirrored = prediction_view(images, views, (1, -1), flip=True)
    torch.testing.assert_close(mirrored, images[..., 2:, :22].flip(-1), rtol=1e-4, atol=1e-5)
