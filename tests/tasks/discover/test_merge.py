"""Discoveries by merged centres: features of a frozen backbone, no training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import frugalseg
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.discover.evaluate import count_regions, region_scores
from frugalseg.tasks.discover.merge import agreeing_temperature, k_means, soft_centres
from frugalseg.tasks.discover.predict import DiscoverRun, discover_labels, soft_regions
from tasks.kits import contents, own_dense_backbone
from textures import texture, write_textures
from tiny import cli, refused

WARD: dict[str, Any] = {"classes": 2, "method": "ward", "frozen": True, "backbone": "vgg-seg"}
WARD |= {"width": 8, "overclasses": 8, "side": 48}
FEW = {"backbone": "tf_efficientnet_lite0", "pretrained": False}
FEW |= {"overclasses": 250, "max_images": 2}


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("textures"))


@pytest.fixture(scope="module")
def merged(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "merged"
    frugalseg.train("discover", textures, run, masks="folder", **WARD)
    return run


def test_planted_textures_are_found_without_training(merged: Path) -> None:
    run = DiscoverRun.load(merged)
    counts = np.zeros((2, 2), np.int64)
    for seed in range(100, 104):
        image, mask = texture(seed)
        counts += count_regions(discover_labels(run, image), mask, 2, 2)
        finer = discover_labels(run, image, "overcluster")
        assert finer.max() < 8
        soft = soft_regions(run, image)
        torch.testing.assert_close(soft.sum(0), torch.ones(soft.shape[1:]))
    assert region_scores(counts, ("dark", "bright"))["accuracy"] > 0.7  # the features are random
    assert RunDir(merged).history() == []


def test_the_answer_is_the_group_of_the_finer_one(merged: Path) -> None:
    run = DiscoverRun.load(merged)
    image, _ = texture(200)
    main, finer = soft_regions(run, image), soft_regions(run, image, "overcluster")
    assert torch.equal(main.argmax(0), run.net.groups[finer.argmax(0)])


def test_a_seed_gives_one_run_and_labels_decide_nothing(
    merged: Path, textures: Path, tmp_path: Path
) -> None:
    frugalseg.train("discover", textures, tmp_path / "run", **WARD)
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == (
        merged / "weights.safetensors"
    ).read_bytes()
    frugalseg.train("discover", textures, tmp_path / "other", seed=1, **WARD)
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() != (
        tmp_path / "other" / "weights.safetensors"
    ).read_bytes()


def test_the_page_says_the_method(merged: Path) -> None:
    page = (merged / "report.html").read_text()
    assert "Method ward: 8 k-means centres" in page
    assert "sub-heads" not in page
    assert "Learning curves" not in page


def test_every_command_takes_the_run(merged: Path, textures: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    for name, content in contents(merged).items():
        path = run.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for words in (
        ("suggest", run, "--number", "2"),
        ("evaluate", run, "--labelled", run.path / "to_label.csv"),
        ("predict", run, textures / "images", "--masks", "folder", "--out", tmp_path / "out"),
        ("compare", run, merged, "--out", tmp_path / "page.html"),
        ("discover", textures, "--run", run, "--masks", "folder", *_words(WARD)),
    ):
        answer = cli(*words)
        assert answer.code == 0, answer.err
    assert "finished already" in answer.err


def _words(settings: dict[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in settings.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def test_a_network_of_ones_own_may_be_merged(textures: Path, tmp_path: Path) -> None:
    settings = {k: v for k, v in WARD.items() if k not in ("backbone", "width")}
    run = frugalseg.train("discover", textures, tmp_path / "run", own_dense_backbone(), **settings)
    assert run.predict(texture(100)[0]).labels.shape == (48, 64)


def test_the_number_may_be_chosen(textures: Path, tmp_path: Path) -> None:
    run = frugalseg.train("discover", textures, tmp_path / "run", **WARD | {"classes": "auto"})
    assert 2 <= run.classes <= 8
    assert run.state["counts"]["chosen"] == run.classes
    assert "Number of regions" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"frozen": False}, ("--method ward", "--frozen")),
        ({"steps": 5}, ("--steps", "--method iic")),
        ({"restarts": 2}, ("--restarts", "--method iic")),
        ({"entropy_weight": 0.5}, ("--entropy-weight", "--method iic")),
        ({"overclasses": 2, "classes": 3}, ("--overclasses 2 is too few", "3 or more")),
        ({"overclasses": 2, "classes": "auto"}, ("--overclasses 2 is too few", "3 or more")),
        (FEW, ("places are too few for 250 centres", "--side")),
        ({"num_views": 3}, ("--num-views", "--method iic")),
        ({"method": "wards"}, ("method", "wards")),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    changes: dict[str, Any], says: tuple[str, ...], textures: Path, tmp_path: Path
) -> None:
    with pytest.raises(FrugalsegError) as refusal:
        frugalseg.train("discover", textures, tmp_path / "run", **WARD | changes)
    for text in says:
        assert text in str(refusal.value)
    assert not (tmp_path / "run").exists()


def test_the_command_refuses_in_one_sentence(textures: Path, tmp_path: Path) -> None:
    words = ("discover", textures, "--run", tmp_path / "run", *_words(WARD), "--learning-rate", "1")
    refused(cli(*words), "--learning-rate is for heads that are trained", "--method iic")
    assert not (tmp_path / "run").exists()


def test_confidence_is_the_agreement_of_views() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(6, 4, generator=generator)
    groups = torch.tensor([0, 0, 1, 1, 2, 2])
    middle = centres[torch.randint(6, (3000,), generator=generator)]
    p, q = (middle + 1.5 * torch.randn(3000, 4, generator=generator) for _ in range(2))
    temperature = agreeing_temperature(p, q, centres, groups)
    soft = soft_centres(p, centres, temperature)
    torch.testing.assert_close(soft.sum(1), torch.ones(3000))
    best = torch.stack([soft[:, groups == k].amax(1) for k in range(3)], 1)
    sure = (best.max(1).values / best.sum(1)).mean()
    own, other = (groups[torch.cdist(x, centres).argmin(1)] for x in (p, q))
    agreement = float((own == other).float().mean())
    assert 0.5 < agreement < 0.99
    assert float(sure) == pytest.approx(agreement, abs=0.01)
    assert agreeing_temperature(p, p, centres, groups) < temperature  # views agree wholly


def test_centres_come_with_their_numbers_of_places() -> None:
    places = torch.tensor([[0.0], [0.1], [5.0], [5.1], [5.2], [9.0]])
    centres, masses = k_means(places, 3, 0)
    order = centres[:, 0].argsort()
    torch.testing.assert_close(centres[order], torch.tensor([[0.05], [5.1], [9.0]]))
    assert masses[order.numpy()].tolist() == [2, 3, 1]
    _, few = k_means(torch.zeros(5, 1), 3, 0)  # all places are alike
    assert few.sum() == 5
