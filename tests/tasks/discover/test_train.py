import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from frugalseg.data.image_mask_folder import ImageMaskFolder, open_any_folder
from frugalseg.data.images import read_image
from frugalseg.data.layouts.samples import Sample
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.models.backbone import Backbone
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.base import train_only
from frugalseg.tasks.discover import data as discover_data
from frugalseg.tasks.discover import train as training
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.data import resolve
from frugalseg.tasks.discover.evaluate import count_regions, region_scores
from frugalseg.tasks.discover.features import pieces_of
from frugalseg.tasks.discover.module import MapModule
from frugalseg.tasks.discover.predict import DiscoverRun, discover_labels
from frugalseg.tasks.discover.train import build_training_data
from frugalseg.tasks.iic.model import build_net
from frugalseg.tasks.iic.schedule import HeadSchedule, StepIndices
from frugalseg.tasks.iic.train import TrainingData, make_module
from gloo import measures_of_the_main_process, run_in_processes
from tasks.kits import own_dense_backbone
from textures import TINY, texture, train, write_textures


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("textures"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return DiscoverRun.load(folder).net.state_dict()


def score(run: DiscoverRun, count: int = 4) -> float:
    """Accuracy on images that the run has not seen."""
    counts = np.zeros((2, 2), np.int64)
    for seed in range(100, 100 + count):
        image, mask = texture(seed)
        counts += count_regions(discover_labels(run, image), mask, 2, 2)
    return region_scores(counts, ("dark", "bright"))["accuracy"]


def test_planted_textures_are_found(textures: Path, tmp_path: Path) -> None:
    state = train(textures, tmp_path / "run", steps=60, learning_rate=0.02, masks="folder", seed=2)
    run = DiscoverRun.load(tmp_path / "run")
    labels = discover_labels(run, texture(100)[0])
    assert labels.dtype == np.uint8
    assert score(run) > 0.9
    assert state["diagnostics"]["agreement"] > 0.8
    watched = [max(line["accuracy"]) for line in RunDir(tmp_path / "run").history()]
    assert state["oracle"]["accuracy"] == max(watched) > 0.8  # places on the outline are mixed
    assert min(state["losses"]) < -0.3


def test_heads_on_frozen_features_find_the_textures(textures: Path, tmp_path: Path) -> None:
    frozen = {"frozen": True, "width": 8, "crop": 48, "components": 4, "hidden": 8}
    frozen |= {"masks": "folder", "augment_options": {"brightness": 0.1}}
    train(textures, tmp_path / "run", steps=60, learning_rate=0.02, **frozen)
    assert score(DiscoverRun.load(tmp_path / "run")) > 0.8
    assert max(RunDir(tmp_path / "run").history()[-1]["accuracy"]) > 0.8


def test_unlabelled_pixels_do_not_count_where_asked(textures: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(textures, data)
    for path in (data / "masks").iterdir():
        half = np.full((48, 64), 255, np.uint8)
        half[:, :32] = np.asarray(Image.open(path))[:, :32]
        Image.fromarray(half).save(path)
    views = {"rotation": 20, "scale": [0.8, 1.2]}
    asked = TINY | {"masks": "folder", "masked": True, "crop": 64, "augment_options": views}
    config = DiscoverConfig(data=str(data), **asked)
    images = open_any_folder(data, "folder")
    config = resolve(config, images)
    net = build_net(config, 2)
    learned = build_training_data(config, images, net)
    module = make_module(config, learned, net, 0)
    valid = module.assign("main", torch.arange(12), torch.Generator().manual_seed(0))[2]
    assert bool(valid[:, :24, :16].any())
    assert not bool(valid[:, :, 16:].any())
    assert not bool(valid[:, 24:].any())  # beyond the image


def test_half_precision_is_for_the_training_alone(textures: Path, tmp_path: Path) -> None:
    settings = {"steps": 60, "learning_rate": 0.02, "seed": 1, "precision": "bf16-mixed"}
    state = train(textures, tmp_path / "run", **settings)
    assert all(value.dtype != torch.bfloat16 for value in weights(tmp_path / "run").values())
    assert all(np.isfinite(state["losses"]))
    assert score(DiscoverRun.load(tmp_path / "run")) > 0.9


def test_a_frozen_backbone_from_nothing_is_the_one_whose_features_were_learned(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []

    def build_training_data(*given: Any) -> TrainingData:
        learned.append(whole(*given))
        return learned[-1]

    whole = training.build_training_data
    monkeypatch.setattr(training, "build_training_data", build_training_data)
    settings = {"frozen": True, "side": 48, "crop": 48, "components": 4, "restarts": 2}
    for name in ("run", "again"):
        train(textures, tmp_path / name, seed=3, **settings)
    run = DiscoverRun.load(tmp_path / "run")
    image = read_image(textures / "images" / "00.png")
    pieces = torch.from_numpy(np.stack(pieces_of(image, 48))).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        maps = run.net.reduce(run.net.backbone(pieces))
    there = learned[0].values["plain"][: len(maps)].float()
    torch.testing.assert_close(maps, there, atol=0.01, rtol=0.01)  # kept as halves
    for name, value in weights(tmp_path / "run").items():
        assert torch.equal(value, weights(tmp_path / "again")[name])


def test_a_backbone_whose_maps_are_others_than_it_says(textures: Path, tmp_path: Path) -> None:
    backbone = own_dense_backbone()
    backbone.stride = 2
    config = DiscoverConfig(data=str(textures), **TINY | {"backbone": None})
    with pytest.raises(FrugalsegError, match="as its num_features and stride say"):
        train_only(config, tmp_path / "other", backbone)
    assert not (tmp_path / "other").exists()


def test_an_idle_head_rests_and_both_views_share_a_frame(textures: Path) -> None:
    config = DiscoverConfig(data=str(textures), **TINY)
    data = open_any_folder(textures)
    config = resolve(config, data)
    net = build_net(config, 2)
    learned = build_training_data(config, data, net)
    module = make_module(config, learned, net, 0)
    p, q, valid = module.assign("main", torch.arange(4), torch.Generator().manual_seed(0))
    assert p.shape == q.shape == (2, 4, 2, 12, 12)
    assert valid.shape == (4, 12, 12)
    module.training_step(StepIndices("main", torch.arange(4), 1), 0).backward()
    assert all(parameter.grad is None for parameter in net.overcluster.parameters())
    assert all(parameter.grad is not None for parameter in net.main.parameters())


def test_one_process_of_several_measures_alone(tmp_path: Path) -> None:
    config = DiscoverConfig(data="", **TINY)
    config = resolve(config, open_any_folder(write_textures(tmp_path / "data", 4)))
    net = TwoHeadNet(Backbone(torch.nn.Identity(), 3, stride=1), 2, 3, 2)
    indices = {"main": np.arange(6), "overcluster": np.arange(6)}
    schedule = HeadSchedule(indices, config.head_order, 1, 4, 0)
    maps = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(net.main.weight, 0, 3.0)
    seen = {"plain": maps, "changed": maps[None], "valid": torch.ones(1, 6, 8, 8).bool()}
    module = MapModule(net, schedule, config, 0, **seen)
    alone = module.measures()
    assert alone["main"] < 0
    measured, _ = run_in_processes(measures_of_the_main_process, module, tmp_path)
    assert measured["sub_heads"] == pytest.approx(alone["sub_heads"], abs=1e-4)


def sized(count: int, size: tuple[int, int]) -> ImageMaskFolder:
    """Images that are never read."""
    samples = tuple(Sample(str(i), Path(f"photos/{i}.jpg"), None) for i in range(count))
    sizes = {sample.image: size for sample in samples}
    return ImageMaskFolder(Path("photos"), {"all": samples}, sizes=sizes)


def test_photographs_are_learned_from_at_a_size_and_in_a_number_that_fit_into_memory() -> None:
    photos = sized(2000, (3000, 4000))
    config = resolve(DiscoverConfig(data="photos", backbone="vgg-seg"), photos)
    assert (config.side, config.max_images >= 2000) == (512, True)
    small = resolve(DiscoverConfig(data="photos", backbone="vgg-seg"), sized(9, (480, 640)))
    assert small.side == 0
    whole = DiscoverConfig(data="photos", backbone="vgg-seg", side=0)
    config = resolve(whole, photos)
    assert config.max_images == (8 << 30) // (3000 * 4000 * 3)
    asked = resolve(dataclasses.replace(whole, max_images=500), photos)
    assert asked.max_images == 500


def test_finer_regions_are_as_many_as_bytes_tell_apart() -> None:
    config = DiscoverConfig(data="photos", backbone="vgg-seg", width=1, classes=254)
    assert resolve(config, sized(4, (64, 64))).overclasses == 255


def test_fewer_images_than_there_are_is_said_in_words(
    textures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in (discover_data, training):
        monkeypatch.setattr(module, "MEMORY", 4 * 48 * 64 * 3)
    with caplog.at_level("INFO", logger="frugalseg"):
        train(textures, tmp_path / "run", steps=1)
    said = caplog.messages[2:]  # the first say that the masks are left alone, and the method
    assert said[0].startswith("4 of 12 images are learned from")
    assert "--max-images" in said[0]
    assert said[1] == "Reading 4 images"


def test_labels_decide_nothing(textures: Path, tmp_path: Path) -> None:
    train(textures, tmp_path / "with", masks="folder")
    train(textures, tmp_path / "without")
    for name, value in weights(tmp_path / "with").items():
        assert torch.equal(value, weights(tmp_path / "without")[name])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"classes": 1}, "classes=1 is out of range: it must be at least 2 and at most 254"),
        ({"classes": 300}, "classes=300 is out of range"),
        ({"overclasses": 256}, "overclasses=256 is out of range: .* at most 255"),
        ({"loss_at": "pixels", "frozen": True}, "--loss-at pixels .* --no-frozen"),
        ({"backbone": "vgg-sage"}, "did you mean 'vgg-seg'"),
        ({"masked": True}, "--masks"),
        ({"max_displacement": 30}, "--max-displacement 30 is too far"),
        ({"split": "holiday"}, "no split 'holiday'"),
        ({"backbone": "tf_efficientnet_lite0", "side": 16}, "too small"),
        ({"channels": "rgbi"}, "3 bands"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    changes: dict[str, Any], text: str, textures: Path, tmp_path: Path
) -> None:
    with pytest.raises(FrugalsegError, match=text):
        train(textures, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
