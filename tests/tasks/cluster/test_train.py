from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from frugalseg.augment.views import prediction_view
from frugalseg.data.image_set import array_set
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.iic import one_to_one
from frugalseg.metrics.confusion import accuracy, as_classes, confusion
from frugalseg.models.backbone import Backbone
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.base import train_only
from frugalseg.tasks.cluster import train as training
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import batch_hints, resolve, training_indices
from frugalseg.tasks.cluster.features import FrozenFeatures, nearest_images
from frugalseg.tasks.cluster.module import FeatureModule
from frugalseg.tasks.cluster.predict import ClusterRun, answer_images
from frugalseg.tasks.iic.model import build_net
from frugalseg.tasks.iic.schedule import HeadSchedule, StepIndices
from frugalseg.tasks.iic.train import TrainingData
from shapes import TINY, shapes, train
from tasks.kits import own_backbone


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return ClusterRun.load(folder).net.state_dict()


def test_distractors_are_for_the_overclustering_head() -> None:
    images = shapes(12)
    images.splits["unlabelled"] = np.arange(3)
    chosen = training_indices(ClusterConfig(data="shapes"), images)
    assert chosen["overcluster"].tolist() == list(range(12))
    assert chosen["main"].tolist() == list(range(3, 12))


def test_a_batch_too_small_for_its_clusters_is_hinted_at() -> None:
    few = {"clusters": 40, "overclusters": 50, "num_views": 1}
    asked = ClusterConfig(**TINY | few | {"batch_size": 50})
    hints = batch_hints(resolve(asked, shapes()))
    assert hints[0].startswith("overclusters=50 is much for batches of 50 images in 1 views")
    assert "--batch-size 200" in hints[1]
    assert batch_hints(resolve(ClusterConfig(**TINY | {"overclusters": 8}), shapes())) == []


def features_module(part: int | None, seed: int = 0) -> FeatureModule:
    """Heads on planted features: 3 groups of 40 in 6 dimensions."""
    changes = {"steps": 40, "batch_size": 60, "overclusters": 6, "learning_rate": 0.05}
    settings = TINY | changes | {"micro_batch_size": part, "decay": 0.0}
    config = resolve(ClusterConfig(**settings), shapes(120))
    generator = torch.Generator().manual_seed(0)
    centres = 5 * torch.eye(6)[:3]
    group = torch.arange(120) % 3
    views = centres[group] + torch.randn(3, 120, 6, generator=generator)
    torch.manual_seed(seed)
    net = TwoHeadNet(Backbone(nn.Flatten(), 6), 3, 6, 6)
    indices = {"main": np.arange(120), "overcluster": np.arange(120)}
    schedule = HeadSchedule(indices, ("main", "overcluster"), 1, 60, seed)
    return FeatureModule(
        *(net, schedule, config, seed),
        labels=group.numpy(),
        plain=views[0],
        transformed=views[1:],
        near=nearest_images(views[0], 5),
    )


def test_a_planted_clustering_is_found_and_parts_equal_the_whole(tmp_path: Path) -> None:
    from frugalseg.engine.trainer import fit

    modules = [features_module(part) for part in (None, 25)]
    for module, name in zip(modules, ("whole", "parts"), strict=True):
        fit(module, RunDir(tmp_path), name, module.config)
    # the views of a part are drawn for that part, so the two see other views: not equal, as good
    for module in modules:
        measures = module.measures()
        best = int(np.argmin(measures["sub_heads"]))
        assert measures["accuracy"][best] > 0.9
        assert measures["used"] == 3


def test_an_idle_head_rests() -> None:
    module = features_module(None)
    p, q = module.assign("main", torch.arange(60), torch.Generator().manual_seed(0))
    assert p.shape == (6, 60, 3)
    assert q.shape == (6, 2, 60, 3)
    loss = module.training_step(StepIndices("main", torch.arange(60), 1), 0)
    loss.backward()
    assert all(parameter.grad is None for parameter in module.net.overcluster.parameters())
    assert all(parameter.grad is not None for parameter in module.net.main.parameters())


def test_neighbours_are_the_nearest_by_angle() -> None:
    features = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    likeness = features @ features.T
    np.fill_diagonal(likeness, -2)
    expected = np.argsort(-likeness, 1)[:, :3]
    np.testing.assert_array_equal(nearest_images(torch.from_numpy(features), 3), expected)


def test_features_are_computed_once(tmp_path: Path) -> None:
    images = shapes(10)
    config = ClusterConfig(**TINY | {"frozen": True, "pretrained": False, "components": 4})
    config = resolve(config, images)
    backbone = build_net(config, 2).backbone.eval()
    indices = np.arange(10)
    features = FrozenFeatures(backbone, config, images, indices, tmp_path)
    plain, transformed = features.compute()
    assert transformed.shape == (config.num_views, *plain.shape)
    (file,) = tmp_path.rglob("*.safetensors")
    written = file.stat().st_mtime_ns
    again, _ = features.compute()
    assert torch.equal(plain, again)
    assert file.stat().st_mtime_ns == written
    file.write_bytes(file.read_bytes()[:100])  # a damaged file is computed again
    whole, _ = features.compute()
    assert torch.equal(plain, whole)
    other = build_net(config, 2).backbone.eval()  # of another seed: features of its own
    features = FrozenFeatures(other, config, images, indices, tmp_path)
    assert features.read_plain() is None
    theirs, _ = features.compute()
    assert not torch.equal(plain, theirs)
    torch.testing.assert_close(features.read_plain(), theirs)


def test_a_frozen_backbone_from_nothing_is_the_one_whose_features_were_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def build_training_data(*given: Any) -> TrainingData:
        learned.append(whole(*given))
        return learned[-1]

    whole = training.build_training_data
    monkeypatch.setattr(training, "build_training_data", build_training_data)
    images = shapes(60)
    settings = {"frozen": True, "backbone": "vgg-iic", "components": 8, "restarts": 2}
    for name, seed in (("run", 3), ("again", 3), ("other", 4)):
        train(tmp_path / name, images, seed=seed, features=str(tmp_path / "kept"), **settings)
    run = ClusterRun.load(tmp_path / "run")
    views = run.config.views
    pixels = torch.from_numpy(images.read_all(views.side, np.arange(60))).permute(0, 3, 1, 2)
    with torch.inference_mode():
        features = run.net.reduce(run.net.backbone(prediction_view(pixels, views)))
    torch.testing.assert_close(
        features, learned[0].values["plain"], atol=0.02, rtol=0.02
    )  # kept as halves
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, weights(tmp_path / "again")[name])
    assert not torch.equal(learned[0].values["plain"], learned[2].values["plain"])


def test_a_backbone_that_cannot_be_handed_in(tmp_path: Path) -> None:
    silent, wrong, other = own_backbone(1), own_backbone(1), own_backbone(1)
    del silent.num_features
    wrong.num_features = 7
    other[0] = nn.Conv2d(3, 4, 3)
    says = {
        silent: "set its attribute num_features",
        wrong: r"gives \(2, 6",
        other: "2, 1, 24, 24",
    }
    for backbone, text in says.items():
        with pytest.raises(FrugalsegError, match=text):
            train_only(ClusterConfig(**TINY), tmp_path / "run", backbone, shapes())
    assert not (tmp_path / "run").exists()


def test_heads_on_frozen_features_find_the_shapes(tmp_path: Path) -> None:
    images, frozen = shapes(), {"frozen": True, "components": 8, "neighbours": 4}
    train(tmp_path / "run", images, steps=60, batch_size=60, learning_rate=0.02, **frozen)
    answers = answer_images(ClusterRun.load(tmp_path / "run"), images)
    found = answers.probabilities.argmax(1)
    counts = confusion(found, images.labels, 3, 3)
    assert accuracy(as_classes(counts, one_to_one(counts))) > 0.9


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"clusters": 1}, "clusters=1 is out of range: it must be at least 2"),
        ({"clusters": 61}, "60 images cannot form 61 clusters"),
        (
            {"clusters": 30, "batch_size": 20},
            "20 images cannot tell 30 clusters apart.*--batch-size 60",
        ),
        ({"augment": "digit"}, "did you mean 'digits'"),
        ({"neighbours": 3}, "add --frozen"),
        ({"micro_batch_size": 5, "devices": "2"}, "--micro-batch-size is for one device"),
        ({"backbone": "resnet-34"}, "resnet-34"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(FrugalsegError, match=text):
        train(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_equal_images_are_refused(tmp_path: Path) -> None:
    pixels = np.full((30, 16, 16, 1), 7, np.uint8)
    same = array_set(Path("same"), {"train": pixels}, {"train": np.zeros(30)}, ("a",))
    with pytest.raises(FrugalsegError, match="all images are equal"):
        train(tmp_path / "run", same)
