import json
import math
from pathlib import Path

import numpy as np
import pytest

from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError
from frugalseg.recipes.paper import PUBLISHED, paper_config, run_paper
from frugalseg.training.cluster_plan import join_splits, make_plan, training_indices
from shapes import TINY, shapes

# images of train, test and unlabelled, height, channels
SETS = {
    "STL10": (5_000, 8_000, 100_000, 96, 3),
    "CIFAR10": (50_000, 10_000, 0, 32, 3),
    "CIFAR20": (50_000, 10_000, 0, 32, 3),
    "MNIST": (60_000, 10_000, 0, 28, 1),
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


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_runs_make_the_plans_they_should(number: str) -> None:
    one = PUBLISHED[number]
    images = fake(one.data)
    config = paper_config(number, one.data, epochs=2)
    join_splits(images, config.split)
    plan = make_plan(config, images)
    pairs, clusters, over = PAIRS[number]
    assert plan.batch * plan.copies == pairs
    assert config.clusters == clusters
    assert (plan.over_clusters if "over" in config.order else None) == over
    assert (plan.rate, plan.width, config.decay) == (1e-4, 64, 0)
    assert plan.sub_heads == (1 if number == "693" else 5)
    assert plan.steps == 2 * plan.turn * len(config.order)
    chosen = training_indices(config, images)
    if one.semi:
        assert not np.isin(images.splits["test"], chosen["main"]).any()
    # an epoch of a head: its steps in a round of the order see each of its images once, or nearly
    for head in set(config.order):
        each = {"main": 1, "over": 1}
        if one.data == "STL10" and over is not None and number != "695":
            each["over"] = 9
        steps = plan.turn * each[head]
        assert math.isclose(steps * plan.batch, len(chosen[head]), rel_tol=0.06)


def test_a_semi_supervised_run_is_named_on_train_and_scored_on_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frugalseg.recipes import paper
    from frugalseg.training import cluster_plan

    images = shapes(60)
    images.splits.update(train=np.arange(40), test=np.arange(40, 60))
    monkeypatch.setattr(cluster_plan, "open_image_data", lambda *rest: images)
    settings = {**TINY, "clusters": 6, "split": "train", "order": ("main",)}
    settings = {name: settings[name] for name in settings if name not in ("data", "steps", "turn")}
    tiny = {"1": paper.Published("shapes", 1, settings, semi=True)}
    monkeypatch.setattr(paper, "PUBLISHED", tiny)
    table = run_paper("1", Path("shapes"), tmp_path, tmp_path / "runs", epochs=3, width=2)
    assert table.count("\n") > 3
    picture = (tmp_path / "paper-1-width2-3-0.svg").read_text()
    assert "<svg" in picture
    (curves,) = json.loads((tmp_path / "paper-1-width2-3-0.json").read_text())["runs"]
    assert (curves["naming"], curves["test"], curves["over_clusters"]) == (40, 20, 6)
    with pytest.raises(FrugalsegError, match="no published run '7'"):
        paper_config("7", "data")
