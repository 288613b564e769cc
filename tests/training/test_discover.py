import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from frugalseg.data.image_sets import ImageSet
from frugalseg.data.pictures import read_picture
from frugalseg.data.region_images import RegionImages, open_region_images
from frugalseg.discover_runs import DiscoverConfig, DiscoverRun, load_discover_run
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.regions import count_regions, region_scores
from frugalseg.networks.dense import DenseTrunk
from frugalseg.networks.dense_heads import DiscoverNet
from frugalseg.task_runs import find_task_run, read_task_config, run_task
from frugalseg.training import discover as training
from frugalseg.training import discover_plan, region_material
from frugalseg.training.agreement import Draw, Turns
from frugalseg.training.dense_features import pieces_of
from frugalseg.training.discover_answers import discover_labels, soft_regions
from frugalseg.training.discover_plan import make_discover_plan
from frugalseg.training.discover_tasks import MapTask
from frugalseg.training.restarts import read_history
from gloo import measures_of_the_main_process, run_in_processes
from textures import TINY, texture, train, write_textures


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("textures"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_discover_run(folder).net.state_dict()


def score(run: DiscoverRun, count: int = 4) -> float:
    """Accuracy on images that the run has not seen."""
    counts = np.zeros((2, 2), np.int64)
    for seed in range(100, 100 + count):
        image, mask = texture(seed)
        counts += count_regions(discover_labels(run, image), mask, 2, 2)
    return region_scores(counts, ("dark", "bright"))["accuracy"]


def test_planted_textures_are_found(textures: Path, tmp_path: Path) -> None:
    state = train(textures, tmp_path / "run", steps=60, rate=0.02, masks="folder", seed=1)
    run = load_discover_run(tmp_path / "run")
    labels = discover_labels(run, texture(100)[0])
    assert labels.dtype == np.uint8
    assert score(run) > 0.9
    assert state["health"]["agreement"] > 0.8
    watched = [max(line["accuracy"]) for line in read_history(tmp_path / "run")]
    assert state["oracle"]["accuracy"] == max(watched) > 0.8  # places on the outline are mixed
    assert min(state["losses"]) < -0.3


def test_a_run_trains_loads_and_says_how_it_went(textures: Path, tmp_path: Path) -> None:
    state = train(textures, tmp_path / "run", restarts=2)
    run = load_discover_run(tmp_path / "run")
    assert run_task(run.folder) == "discover"
    assert state["finished"] is True
    assert len(state["losses"]) == 2
    assert state["sub_head"] == int(np.argmin(state["losses"]))
    assert [one["seed"] for one in state["restarts"]] == [0, 1]
    assert state["oracle"] is None
    assert not (run.folder / "checkpoints").exists()
    lines = read_history(run.folder)
    assert {line["training"] for line in lines} == {"discover-0", "discover-1"}
    assert {"main", "over", "balance", "doubt", "agreement"} <= lines[0].keys()
    assert "accuracy" not in lines[0]
    assert load_discover_run(tmp_path / "run", "lowest").sub_head in (0, 1)


def test_it_goes_on_where_it_was_left(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frugalseg.training.fit.CHECKPOINT_STEPS", 2)
    train(textures, tmp_path / "whole")
    step = training.PixelTask.training_step

    def stopped(self: Any, batch: Draw, index: int) -> Any:
        if self.global_step == 3:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(training.PixelTask, "training_step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(textures, tmp_path / "parts")
    with pytest.raises(FrugalsegError, match="not finished"):
        load_discover_run(tmp_path / "parts")
    train(textures, tmp_path / "parts")
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(value, weights(tmp_path / "parts")[name])


def test_another_configuration_does_not_go_on(textures: Path, tmp_path: Path) -> None:
    train(textures, tmp_path / "run", steps=1)
    config = read_task_config(tmp_path / "run", DiscoverConfig)
    assert config == DiscoverConfig(data=str(textures), **TINY | {"steps": 1})
    other = DiscoverConfig(data=str(textures), **TINY | {"steps": 1, "width": 3})
    with pytest.raises(FrugalsegError, match="width: 2 there, 3 asked"):
        find_task_run(tmp_path / "run", other)


def test_heads_on_frozen_features_learn_in_mixed_precision(textures: Path, tmp_path: Path) -> None:
    frozen = {"frozen": True, "width": 8, "crop": 48, "components": 4, "hidden": 8}
    assert train(textures, tmp_path / "run", steps=2, precision="bf16-mixed", **frozen)["finished"]


def test_heads_on_frozen_features_find_the_textures(textures: Path, tmp_path: Path) -> None:
    frozen = {"frozen": True, "width": 8, "crop": 48, "components": 4, "hidden": 8}
    frozen |= {"masks": "folder", "view_options": {"brightness": 0.1}}
    train(textures, tmp_path / "run", steps=60, rate=0.02, **frozen)
    assert score(load_discover_run(tmp_path / "run")) > 0.8
    assert max(read_history(tmp_path / "run")[-1]["accuracy"]) > 0.8


def test_as_many_regions_are_trained_as_were_counted(textures: Path, tmp_path: Path) -> None:
    state = train(textures, tmp_path / "run", classes="auto", over_classes=5)
    run = load_discover_run(tmp_path / "run")
    assert run.classes == state["counts"]["chosen"]
    assert run.net.main.shape == (2, run.classes)
    assert {line["training"] for line in read_history(tmp_path / "run")} == {"count", "discover"}


def test_published_borders_leave_a_ring_undecided(textures: Path, tmp_path: Path) -> None:
    published = {"published_borders": True, "loss_at": "pixels", "channels": "rgb+sobel"}
    train(textures, tmp_path / "run", rate=0.02, **published)
    run = load_discover_run(tmp_path / "run")
    soft = soft_regions(run, texture(0)[0])
    assert soft.shape == (2, 22, 30)  # half the pixels, 4 less each way, and the ring
    ring = torch.ones(soft.shape[1:], dtype=torch.bool)
    ring[1:-1, 1:-1] = False
    assert bool((soft[:, ring] == 0.5).all())
    assert bool((soft[:, ~ring] != 0.5).any())
    assert discover_labels(run, texture(0)[0]).shape == (48, 64)


def test_unlabelled_pixels_do_not_count_where_asked(textures: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    for path in (data / "masks").iterdir():
        half = np.full((48, 64), 255, np.uint8)
        half[:, :32] = np.asarray(Image.open(path))[:, :32]
        Image.fromarray(half).save(path)
    views = {"rotation": 20, "scale": [0.8, 1.2]}
    asked = TINY | {"masks": "folder", "masked": True, "crop": 64, "view_options": views}
    config = DiscoverConfig(data=str(data), **asked)
    images = open_region_images(data, "folder")
    plan = make_discover_plan(config, images)
    net = training.build_discover_net(plan, 2)
    material = training.gather_regions(config, plan, images, net, False, lambda text: None)
    task = training.make_discover_task(config, plan, net, material, 0)
    valid = task.assign("main", torch.arange(12), torch.Generator().manual_seed(0))[2]
    assert bool(valid[:, :24, :16].any())
    assert not bool(valid[:, :, 16:].any())
    assert not bool(valid[:, 24:].any())  # beyond the image


def test_half_precision_is_for_the_training_alone(textures: Path, tmp_path: Path) -> None:
    settings = {"steps": 60, "rate": 0.02, "seed": 1, "precision": "bf16-mixed"}
    state = train(textures, tmp_path / "run", **settings)
    assert all(value.dtype != torch.bfloat16 for value in weights(tmp_path / "run").values())
    assert all(np.isfinite(state["losses"]))
    assert score(load_discover_run(tmp_path / "run")) > 0.9


def test_a_frozen_trunk_from_nothing_is_the_one_whose_features_were_learned(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def gather(*given: Any) -> training.RegionMaterial:
        learned.append(whole(*given))
        return learned[-1]

    whole = training.gather_regions
    monkeypatch.setattr(training, "gather_regions", gather)
    settings = {"frozen": True, "side": 48, "crop": 48, "components": 4, "restarts": 2}
    for name in ("run", "again"):
        train(textures, tmp_path / name, seed=3, **settings)
    run = load_discover_run(tmp_path / "run")
    image = read_picture(textures / "images" / "00.png")
    pieces = torch.from_numpy(np.stack(pieces_of(image, 48))).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        maps = run.net.reduce(run.net.trunk(pieces))
    there = learned[0].maps.plain[: len(maps)].float()
    torch.testing.assert_close(maps, there, atol=0.01, rtol=0.01)  # kept as halves
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, weights(tmp_path / "again")[name])


def test_a_trunk_that_is_handed_in(textures: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    trunk = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 4, 4), torch.nn.ReLU())
    trunk.num_features, trunk.stride = 6, 4
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    own = {"data": str(textures), "trunk": None}
    config = DiscoverConfig(**TINY | own)
    training.train_discovery(config, tmp_path / "run", False, trunk=trunk)
    with pytest.raises(FrugalsegError, match="handed in from Python: hand it in again"):
        load_discover_run(tmp_path / "run")
    run = load_discover_run(tmp_path / "run", trunk=trunk)
    assert run.config.trunk == "given"
    assert discover_labels(run, texture(0)[0]).shape == (48, 64)
    learned = run.net.trunk.network.state_dict()
    for name, value in trunk.state_dict().items():
        assert torch.equal(value, before[name])
        assert not torch.equal(learned[name], value), name
    trunk.stride = 2
    with pytest.raises(FrugalsegError, match="as its num_features and stride say"):
        training.train_discovery(config, tmp_path / "other", False, trunk=trunk)
    assert not (tmp_path / "other").exists()


def test_an_idle_head_rests_and_both_views_share_a_frame(textures: Path) -> None:
    config = DiscoverConfig(data=str(textures), **TINY)
    data = open_region_images(textures)
    plan = make_discover_plan(config, data)
    net = training.build_discover_net(plan, 2)
    material = training.gather_regions(config, plan, data, net, False, lambda text: None)
    task = training.make_discover_task(config, plan, net, material, 0)
    p, q, valid = task.assign("main", torch.arange(4), torch.Generator().manual_seed(0))
    assert p.shape == q.shape == (2, 4, 2, 12, 12)
    assert valid.shape == (4, 12, 12)
    task.training_step(Draw("main", torch.arange(4), 1), 0).backward()
    assert all(parameter.grad is None for parameter in net.over.parameters())
    assert all(parameter.grad is not None for parameter in net.main.parameters())


def test_one_process_of_several_measures_alone(tmp_path: Path) -> None:
    config = DiscoverConfig(data="", **TINY)
    plan = make_discover_plan(config, open_region_images(write_textures(tmp_path / "data", 4)))
    net = DiscoverNet(DenseTrunk(torch.nn.Identity(), 3, 1), 2, 3, 2)
    turns = Turns({"main": np.arange(6), "over": np.arange(6)}, config.order, 1, 4, 0)
    maps = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(net.main.outer.weight, 0, 3.0)
    seen = {"plain": maps, "changed": maps[None], "valid": torch.ones(1, 6, 8, 8).bool()}
    task = MapTask(net, turns, plan, config, 0, **seen)
    alone = task.measures()
    assert alone["main"] < 0
    measured, _ = run_in_processes(measures_of_the_main_process, task, tmp_path)
    assert measured["sub_heads"] == pytest.approx(alone["sub_heads"], abs=1e-4)


def sized(count: int, size: tuple[int, int]) -> RegionImages:
    """Images that are never read."""
    images = ImageSet(
        Path("photos"),
        tuple(f"{i}.jpg" for i in range(count)),
        np.tile(size, (count, 1)),
        lambda i, least: np.zeros((*size, 3), np.uint8),
    )
    return RegionImages(images, (Path("none"),) * count, (None,) * count)


def test_photographs_are_learned_from_at_a_size_and_in_a_number_that_fit_into_memory() -> None:
    photos = sized(2000, (3000, 4000))
    plan = make_discover_plan(DiscoverConfig(data="photos", trunk="vgg-seg"), photos)
    assert (plan.side, plan.pictures >= 2000) == (512, True)
    small = make_discover_plan(DiscoverConfig(data="photos", trunk="vgg-seg"), sized(9, (480, 640)))
    assert small.side == 0
    whole = DiscoverConfig(data="photos", trunk="vgg-seg", side=0)
    plan = make_discover_plan(whole, photos)
    assert plan.pictures == (8 << 30) // (3000 * 4000 * 3)
    asked = make_discover_plan(dataclasses.replace(whole, pictures=500), photos)
    assert asked.pictures == 500


def test_finer_regions_are_as_many_as_bytes_tell_apart() -> None:
    config = DiscoverConfig(data="photos", trunk="vgg-seg", width=1, classes=254)
    assert make_discover_plan(config, sized(4, (64, 64))).over_classes == 255


def test_fewer_images_than_there_are_is_said_in_words(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (discover_plan, region_material):
        monkeypatch.setattr(module, "MEMORY", 4 * 48 * 64 * 3)
    said: list[str] = []
    config = DiscoverConfig(data=str(textures), **TINY | {"steps": 1})
    training.train_discovery(config, tmp_path / "run", progress=False, say=said.append)
    assert said[0].startswith("4 of 12 images are learned from")
    assert "--pictures" in said[0]
    assert said[1] == "Reading 4 images"


def test_labels_decide_nothing(textures: Path, tmp_path: Path) -> None:
    train(textures, tmp_path / "with", masks="folder")
    train(textures, tmp_path / "without")
    for name, value in weights(tmp_path / "with").items():
        assert torch.equal(value, weights(tmp_path / "without")[name])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": 1}, "1 kinds of region"),
        ({"classes": 300}, "300 kinds of region"),
        ({"over_classes": 256}, "256 finer regions .* 255 --over-classes at most"),
        ({"published_borders": True, "trunk": "unet"}, "--published-borders .* --trunk vgg-seg"),
        ({"published_borders": True, "frozen": True}, "--published-borders .* --no-frozen"),
        ({"loss_at": "pixels", "frozen": True}, "--loss-at pixels .* --no-frozen"),
        ({"trunk": "vgg-sage"}, "did you mean 'vgg-seg'"),
        ({"pretrained": True}, "no pretrained weights"),
        ({"view_options": {"spin": 3}}, "no setting 'spin'"),
        ({"view_options": {"hue": 3}}, "--view-options"),
        ({"order": ("over",)}, "order="),
        ({"rate": 0.0}, "rate=0.0 is out of range"),
        ({"masked": True}, "--masks"),
        ({"displacement": 30}, "--displacement 30 is too far"),
        ({"split": "holiday"}, "no split 'holiday'"),
        ({"trunk": "tf_efficientnet_lite0", "side": 16}, "too small"),
        ({"channels": "rgbi"}, "3 bands"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    changes: dict[str, Any], text: str, textures: Path, tmp_path: Path
) -> None:
    with pytest.raises(FrugalsegError, match=text):
        train(textures, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
