"""Settings in YAML files: all can be read; those of the authors have the published numbers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from experiments import paper
from experiments.paper import paper_config, paper_settings
from experiments.published import SETTINGS, load_settings
from frugalseg.data.image_mask_folder import open_any_folder
from frugalseg.data.image_set import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import TASKS
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.data import resolve, training_indices
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.finetune.config import FinetuneConfig
from shapes import TINY, shapes, train
from textures import write_textures

# images of train, test and unlabelled, height, channels
SETS = {
    "stl10": (5_000, 8_000, 100_000, 96, 3),
    "cifar10": (50_000, 10_000, 0, 32, 3),
    "cifar20": (50_000, 10_000, 0, 32, 3),
    "mnist": (60_000, 10_000, 0, 28, 1),
    "narrow": (60_000, 10_000, 0, 28, 1),
}
# pairs a step, clusters, overclusters (none where there is one head), as published
PAIRS = {
    **dict.fromkeys(("569", "570", "693", "694", "695"), (700, 10, 70)),
    "640": (660, 10, 70),
    "579": (1000, 20, 140),
    "685": (700, 10, 50),
    "692": (700, 10, 10),
    "653": (1400, 140, None),
    "650": (700, 70, None),
    "652": (1320, 140, None),
    "654": (2800, 280, None),
    "665": (350, 25, None),
}


def fake(data: str) -> ImageSet:
    """A set of the published size whose pixels cannot be read."""
    *counts, side, channels = SETS[data]
    ends = np.cumsum([0, *counts])
    names = ("train", "test", "unlabelled")
    splits = {name: np.arange(ends[k], ends[k + 1]) for k, name in enumerate(names) if counts[k]}
    sizes = np.full((int(ends[-1]), 2), side)
    files = tuple(map(str, range(int(ends[-1]))))
    pixels = np.zeros((side, side, channels), np.uint8)
    return ImageSet(Path(data), files, sizes, lambda i, least: pixels, splits=splits)


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("data"), 4, (160, 192))


@pytest.mark.parametrize("name", sorted(file.stem for file in SETTINGS.glob("*.yaml")))
def test_all_settings_resolve(name: str, textures: Path, tmp_path: Path) -> None:
    config = load_settings(name, str(textures))
    if isinstance(config, ClusterConfig):
        resolved = resolve(config, fake(name.split("-")[-1]))
        assert None not in (resolved.steps, resolved.width, resolved.hidden)
    elif isinstance(config, DiscoverConfig):
        data = open_any_folder(textures, "folder")
        config = load_settings(name, str(textures), {"split": "all", "classes": 2})
        assert TASKS["discover"].resolve(config, data, None).overclasses == 10
    else:
        assert isinstance(config, FinetuneConfig)
        train(tmp_path / "run", steps=1)
        config = load_settings(name, str(tmp_path / "run"))
        assert TASKS["finetune"].resolve(config, shapes(), None).data == "shapes"


def test_there_is_a_file_for_each_published_clustering() -> None:
    numbers = {file.stem.split("-")[1] for file in SETTINGS.glob("iic-*.yaml")}
    assert numbers == {*PAIRS, "698"}


@pytest.mark.parametrize("number", PAIRS)
def test_published_runs_have_the_published_numbers(number: str) -> None:
    data = paper_settings(number).split("-")[-1]
    images = fake(data)
    config = paper_config(number, data, epochs=2)
    images.indices(config.split)
    resolved = resolve(config, images)
    pairs, clusters, overcluster = PAIRS[number]
    assert resolved.batch_size * resolved.num_views == pairs
    assert config.clusters == clusters
    assert (resolved.overclusters if "overcluster" in config.head_order else None) == overcluster
    assert (resolved.learning_rate, resolved.width, config.decay) == (1e-4, 64, 0)
    assert resolved.sub_heads == (1 if number == "693" else 5)
    assert resolved.steps == 2 * resolved.steps_per_head * len(config.head_order)
    chosen = training_indices(config, images)
    if overcluster is None:  # semi-supervised
        assert not np.isin(images.splits["test"], chosen["main"]).any()
    # an epoch of a head: its steps in a round of the order see each of its images once, or nearly
    for head in set(config.head_order):
        each = {"main": 1, "overcluster": 1}
        if data == "stl10" and overcluster is not None and number != "695":
            each["overcluster"] = 9
        steps = resolved.steps_per_head * each[head]
        assert math.isclose(steps * resolved.batch_size, len(chosen[head]), rel_tol=0.06)


def test_other_published_settings() -> None:
    regions = load_settings("regions-paper", "data")
    assert isinstance(regions, DiscoverConfig)
    assert (regions.width, regions.learning_rate, regions.max_displacement) == (64, 1e-4, 10)
    assert (regions.crop, regions.loss_at, regions.channels) == (128, "pixels", "rgb+sobel")
    supervised = load_settings("iic-698-stl10", "runs/650")
    assert isinstance(supervised, FinetuneConfig)
    assert (supervised.batch_size, supervised.steps, supervised.crops) == (700, 8000 * 7, 5)
    with pytest.raises(FrugalsegError, match="no published run '7'"):
        paper_settings("7")
    with pytest.raises(FrugalsegError, match="no clustering"):
        paper_config("698", "runs/650")


def test_a_semi_supervised_run_is_named_on_train_and_scored_on_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = shapes(60)
    images.splits.update(train=np.arange(40), test=np.arange(40, 60))
    monkeypatch.setattr("frugalseg.tasks.cluster.data.open_images", lambda *rest: images)
    changes = {**TINY, "clusters": 6, "split": "train", "head_order": ("main",)}
    monkeypatch.setattr(paper, "paper_config", lambda *rest: ClusterConfig(**changes))
    table = paper.paper(
        "1", Path("shapes"), out=tmp_path, runs=tmp_path / "runs", epochs=3, width=2
    )
    assert table.count("\n") > 3
    picture = (tmp_path / "paper-1-width2-3-0.svg").read_text()
    assert "<svg" in picture
    (curves,) = json.loads((tmp_path / "paper-1-width2-3-0.json").read_text())["runs"]
    assert (curves["naming"], curves["test"], curves["overclusters"]) == (40, 20, 6)
