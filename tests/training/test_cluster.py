from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from frugalseg.cluster_runs import ClusterConfig, load_cluster_run
from frugalseg.data.image_sets import array_set
from frugalseg.errors import FrugalsegError
from frugalseg.information import accuracy, confusion, one_to_one
from frugalseg.networks.heads import ClusterNet
from frugalseg.networks.trunks import Trunk
from frugalseg.task_runs import find_task_run, read_task_config, run_task
from frugalseg.training import cluster as training
from frugalseg.training.agreement import Draw, Turns
from frugalseg.training.cluster_answers import answer_images
from frugalseg.training.cluster_plan import make_plan, training_indices
from frugalseg.training.cluster_tasks import FeatureTask
from frugalseg.training.features import frozen_features, nearest_images, read_features
from frugalseg.training.restarts import read_history
from frugalseg.training.views import Views, test_view
from shapes import TINY, shapes, train


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_cluster_run(folder).net.state_dict()


def test_turns_follow_the_order_and_each_image_comes_once_a_round() -> None:
    places = {"main": np.arange(10), "over": np.arange(15)}
    turns = Turns(places, ("main", "main", "over"), 2, 5, seed=3)
    heads = [turns.head(step) for step in range(12)]
    assert heads == (["main"] * 4 + ["over"] * 2) * 2
    draws = [turns.draw(step) for step in range(18)]
    for head, size in (("main", 10), ("over", 15)):
        seen = torch.cat([d.places for d in draws if d.head == head])
        for some in seen.split(size):
            if len(some) == size:
                assert sorted(some.tolist()) == list(range(size))
    again = list(turns.between(7, 9))
    assert all(torch.equal(a.places, b.places) for a, b in zip(again, draws[7:9], strict=True))
    halves = [turns.between(4, 5, rank, 2).draw(4).places for rank in range(2)]
    assert sorted(torch.cat(halves).tolist()) == sorted(draws[4].places.tolist())


def test_distractors_are_for_the_overclustering_head() -> None:
    images = shapes(12)
    images.splits["unlabelled"] = np.arange(3)
    chosen = training_indices(ClusterConfig(data="shapes"), images)
    assert chosen["over"].tolist() == list(range(12))
    assert chosen["main"].tolist() == list(range(3, 12))


def test_a_run_trains_loads_and_says_how_it_went(tmp_path: Path) -> None:
    state = train(tmp_path / "run", restarts=2)
    run = load_cluster_run(tmp_path / "run")
    assert run_task(run.folder) == "cluster"
    assert state["finished"] is True
    assert len(state["losses"]) == 2
    assert state["sub_head"] == int(np.argmin(state["losses"]))
    assert [one["seed"] for one in state["restarts"]] == [0, 1]
    assert min(state["losses"]) == state["spread_over_restarts"]["least"]
    assert state["oracle"]["step"] == 3
    assert not (run.folder / "checkpoints").exists()
    lines = read_history(run.folder)
    assert {line["training"] for line in lines} == {"cluster-0", "cluster-1"}
    assert {"main", "over", "balance", "doubt", "accuracy"} <= lines[0].keys()
    with torch.inference_mode():
        answers = run.net(torch.rand(2, 1, 16, 16))
    assert answers.shape == (2, 2, 3)
    assert load_cluster_run(tmp_path / "run", "lowest").sub_head in (0, 1)


def test_the_same_seed_gives_the_same_run_and_it_goes_on_where_it_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frugalseg.training.fit.CHECKPOINT_STEPS", 2)
    train(tmp_path / "whole", steps=4)
    step = training.ImageTask.training_step

    def stopped(self: Any, batch: Draw, index: int) -> Any:
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(training.ImageTask, "training_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "parts", steps=4)
    assert (tmp_path / "parts" / "checkpoints" / "cluster" / "last.ckpt").is_file()
    with pytest.raises(FrugalsegError, match="not finished"):
        load_cluster_run(tmp_path / "parts")
    train(tmp_path / "parts", steps=4)
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(value, weights(tmp_path / "parts")[name])


def test_another_configuration_does_not_go_on(tmp_path: Path) -> None:
    train(tmp_path / "run", steps=1)
    config = read_task_config(tmp_path / "run", ClusterConfig)
    assert config == ClusterConfig(**TINY | {"steps": 1})
    with pytest.raises(FrugalsegError, match="width: 2 there, 3 asked"):
        find_task_run(tmp_path / "run", ClusterConfig(**TINY | {"steps": 1, "width": 3}))


def features_task(part: int | None, seed: int = 0, order: Any = ("main", "over")) -> FeatureTask:
    """Heads on planted features: 3 groups of 40 in 6 dimensions."""
    config = ClusterConfig(data="", clusters=3, part=part, order=order, decay=0.0)
    generator = torch.Generator().manual_seed(0)
    centres = 5 * torch.eye(6)[:3]
    group = torch.arange(120) % 3
    views = centres[group] + torch.randn(3, 120, 6, generator=generator)
    plan = make_plan(
        ClusterConfig(**TINY | {"steps": 40, "batch": 60, "over_clusters": 6, "rate": 0.05}),
        shapes(120),
    )
    torch.manual_seed(seed)
    net = ClusterNet(Trunk(nn.Flatten(), 6), 3, 6, 6)
    places = {"main": np.arange(120), "over": np.arange(120)}
    turns = Turns(places, order, 1, 60, seed)
    return FeatureTask(
        *(net, turns, plan, config, seed),
        plain=views[0],
        transformed=views[1:],
        near=nearest_images(views[0], 5),
        labels=group.numpy(),
    )


def test_a_planted_clustering_is_found_and_parts_equal_the_whole(tmp_path: Path) -> None:
    from frugalseg.training.fit import fit

    tasks = [features_task(part) for part in (None, 25)]
    for task, name in zip(tasks, ("whole", "parts"), strict=True):
        fit(task, tmp_path, name, progress=False)
    # the views of a part are drawn for that part, so the two see other views: not equal, as good
    for task in tasks:
        measures = task.measures()
        best = int(np.argmin(measures["sub_heads"]))
        assert measures["accuracy"][best] > 0.9
        assert measures["used"] == 3


def test_an_idle_head_rests() -> None:
    task = features_task(None)
    p, q = task.assign("main", torch.arange(60), torch.Generator().manual_seed(0))
    assert p.shape == (6, 60, 3)
    assert q.shape == (6, 2, 60, 3)
    loss = task.training_step(Draw("main", torch.arange(60), 1), 0)
    loss.backward()
    assert all(parameter.grad is None for parameter in task.net.over.parameters())
    assert all(parameter.grad is not None for parameter in task.net.main.parameters())


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
    plan = make_plan(config, images)
    trunk = training.build_net(plan, 2).trunk.eval()
    indices = np.arange(10)
    plain, transformed = frozen_features(trunk, plan, images, indices, tmp_path)
    assert transformed.shape == (plan.copies, *plain.shape)
    (file,) = tmp_path.rglob("*.safetensors")
    written = file.stat().st_mtime_ns
    again, _ = frozen_features(trunk, plan, images, indices, tmp_path)
    assert torch.equal(plain, again)
    assert file.stat().st_mtime_ns == written
    file.write_bytes(file.read_bytes()[:100])  # a damaged file is computed again
    whole, _ = frozen_features(trunk, plan, images, indices, tmp_path)
    assert torch.equal(plain, whole)
    other = training.build_net(plan, 2).trunk.eval()  # of another seed: features of its own
    theirs, _ = frozen_features(other, plan, images, indices, tmp_path)
    assert not torch.equal(plain, theirs)
    torch.testing.assert_close(read_features(other, plan, images, indices, tmp_path), theirs)


def test_a_frozen_trunk_from_nothing_is_the_one_whose_features_were_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def gather(*given: Any) -> training.Material:
        learned.append(whole(*given))
        return learned[-1]

    whole = training.gather
    monkeypatch.setattr(training, "gather", gather)
    images = shapes(60)
    settings = {"frozen": True, "trunk": "vgg-iic", "components": 8, "restarts": 2}
    for name, seed in (("run", 3), ("again", 3), ("other", 4)):
        train(tmp_path / name, images, seed=seed, features=str(tmp_path / "kept"), **settings)
    run = load_cluster_run(tmp_path / "run")
    views = Views(**run.plan.views)
    pixels = torch.from_numpy(images.read_all(views.side, learned[0].indices)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        features = run.net.reduce(run.net.trunk(test_view(pixels, views)))
    torch.testing.assert_close(features, learned[0].plain, atol=0.02, rtol=0.02)  # kept as halves
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, weights(tmp_path / "again")[name])
    assert not torch.equal(learned[0].plain, learned[2].plain)


def small_trunk() -> nn.Module:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3))
    network.num_features = 6
    return network


@pytest.mark.parametrize("frozen", [False, True])
def test_a_trunk_that_is_handed_in(frozen: bool, tmp_path: Path) -> None:
    trunk, images = small_trunk(), shapes()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    config = ClusterConfig(**TINY | {"frozen": frozen})
    training.train_clustering(config, tmp_path / "run", False, images=images, trunk=trunk)
    with pytest.raises(FrugalsegError, match="handed in from Python: hand it in again"):
        load_cluster_run(tmp_path / "run")
    run = load_cluster_run(tmp_path / "run", trunk=trunk)
    assert run.config.trunk == "given"
    assert answer_images(run, images).probabilities.shape == (60, 3)
    learned = run.net.trunk.network.state_dict()
    for name, value in trunk.state_dict().items():
        assert torch.equal(value, before[name])
        assert torch.equal(learned[name], value) == frozen, name


def test_a_trunk_that_cannot_be_handed_in(tmp_path: Path) -> None:
    silent, wrong, other = small_trunk(), small_trunk(), small_trunk()
    del silent.num_features
    wrong.num_features = 7
    other[0] = nn.Conv2d(3, 4, 3)
    says = {
        silent: "set its attribute num_features",
        wrong: r"gives \(2, 6\)",
        other: "2, 1, 24, 24",
    }
    for trunk, text in says.items():
        with pytest.raises(FrugalsegError, match=text):
            training.train_clustering(
                ClusterConfig(**TINY), tmp_path / "run", images=shapes(), trunk=trunk
            )
    named = ClusterConfig(**TINY | {"trunk": "vgg-iic"})
    with pytest.raises(FrugalsegError, match="leave one of them out"):
        training.train_clustering(named, tmp_path / "run", images=shapes(), trunk=small_trunk())
    with pytest.raises(FrugalsegError, match="hand it in again"):
        train(tmp_path / "run", trunk="given")
    assert not (tmp_path / "run").exists()


def test_heads_on_frozen_features_learn_in_mixed_precision(tmp_path: Path) -> None:
    frozen = {"frozen": True, "components": 8, "neighbours": 4, "precision": "bf16-mixed"}
    assert train(tmp_path / "run", **frozen)["finished"]


def test_heads_on_frozen_features_find_the_shapes(tmp_path: Path) -> None:
    images, frozen = shapes(), {"frozen": True, "components": 8, "neighbours": 4}
    train(tmp_path / "run", images, steps=60, batch=60, rate=0.02, **frozen)
    answers = answer_images(load_cluster_run(tmp_path / "run"), images)
    found = answers.probabilities.argmax(1)
    counts = confusion(found, images.labels, 3, 3)
    assert accuracy(one_to_one(counts), found, images.labels) > 0.9


def test_as_many_clusters_are_trained_as_were_counted(tmp_path: Path) -> None:
    frozen = {"frozen": True, "components": 8, "neighbours": 4, "over_clusters": 6}
    state = train(tmp_path / "run", clusters="auto", **frozen)
    assert state["clusters"] == state["counts"]["chosen"]
    assert load_cluster_run(tmp_path / "run").net.main.shape == (2, state["clusters"])
    assert {line["training"] for line in read_history(tmp_path / "run")} == {"count", "cluster"}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"clusters": 1}, "1 cluster is no clustering"),
        ({"clusters": 61}, "60 images cannot form 61 clusters"),
        ({"clusters": 30, "batch": 20}, "20 images cannot tell 30 clusters apart.*--batch 60"),
        ({"views": "digit"}, "did you mean 'digits'"),
        ({"view_options": {"spin": 3}}, "no setting 'spin'"),
        ({"view_options": {"hue": 3}}, "--view-options"),
        ({"order": ("over",)}, "order="),
        ({"rate": 0.0}, "rate=0.0 is out of range"),
        ({"neighbours": 3}, "add --frozen"),
        ({"part": 5, "devices": "2"}, "--part is for one device"),
        ({"trunk": "vgg-iic", "pretrained": True}, "no pretrained weights"),
        ({"trunk": "resnet-34"}, "Unknown trunk"),
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
