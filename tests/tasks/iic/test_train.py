"""The training of clusterings and discoveries: each test runs for both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shapes
import textures
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.predict import ClusterRun
from frugalseg.tasks.discover.predict import DiscoverRun
from frugalseg.tasks.iic.model import IICRun


@dataclass(frozen=True)
class Kind:
    """How a task is trained here.

    Attributes:
        train: trains a run in a folder with changed settings; gives its state.
        run: class of the runs.
        groups: the setting of the number of groups.
        few: settings of an overclustering of few groups.
        frozen: settings of heads on a frozen backbone.
        labelled: whether the images have labels.
    """

    train: Callable[..., dict[str, Any]]
    run: type[IICRun[Any]]
    groups: str
    few: dict[str, Any]
    frozen: dict[str, Any]
    labelled: bool


@pytest.fixture(scope="module", params=["cluster", "discover"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    if request.param == "cluster":
        frozen: dict[str, Any] = {"frozen": True, "components": 8, "neighbours": 4}
        few = {"overclusters": 6, **frozen}
        return Kind(shapes.train, ClusterRun, "clusters", few, frozen, True)
    data = textures.write_textures(tmp_path_factory.mktemp("textures"))

    def train(folder: Path, **changes: Any) -> dict[str, Any]:
        return textures.train(data, folder, **changes)

    frozen = {"frozen": True, "width": 8, "crop": 48, "components": 4, "hidden": 8, "steps": 2}
    return Kind(train, DiscoverRun, "classes", {"overclasses": 5}, frozen, False)


def test_a_run_trains_loads_and_says_how_it_went(kind: Kind, tmp_path: Path) -> None:
    state = kind.train(tmp_path / "run", restarts=2)
    run = kind.run.load(tmp_path / "run")
    assert state["finished"] is True
    assert len(state["losses"]) == 2
    assert state["sub_head"] == int(np.argmin(state["losses"]))
    assert [one["seed"] for one in state["restarts"]] == [0, 1]
    assert min(state["losses"]) == state["spread_over_restarts"]["least"]
    assert not run.dir.checkpoints.exists()
    lines = run.dir.history()
    task = run.config.task
    assert {line["training"] for line in lines} == {f"{task}-0", f"{task}-1"}
    assert {"main", "overcluster", "balance", "entropy", "agreement"} <= lines[0].keys()
    assert ("accuracy" in lines[0]) == kind.labelled
    assert (state["oracle"] or {"step": None})["step"] == (3 if kind.labelled else None)


def test_heads_on_frozen_features_learn_in_mixed_precision(kind: Kind, tmp_path: Path) -> None:
    assert kind.train(tmp_path / "run", precision="bf16-mixed", **kind.frozen)["finished"]


def test_as_many_groups_are_trained_as_were_counted(kind: Kind, tmp_path: Path) -> None:
    state = kind.train(tmp_path / "run", **{kind.groups: "auto"}, **kind.few)
    run = kind.run.load(tmp_path / "run")
    assert run.clusters == state["counts"]["chosen"]
    assert run.net.main.shape == (2, run.clusters)
    assert state["counts"]["says"].startswith(f"{run.clusters} {run.config.unit}: ")
    trainings = {line["training"] for line in RunDir(tmp_path / "run").history()}
    assert trainings == {"count", run.config.task}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"augment_options": {"spin": 3}}, "no setting 'spin'"),
        ({"augment_options": {"hue": 3}}, "setting hue of views is 3"),
        ({"head_order": ("overcluster",)}, "--head-order must name main"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 is out of range: it must be above 0"),
        ({"pretrained": True, "backbone": "vgg-iic"}, "no pretrained weights"),
        ({"backbone": "given"}, "hand it in again"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_written(
    kind: Kind, changes: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(FrugalsegError, match=text):
        kind.train(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()
