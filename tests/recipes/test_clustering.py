import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugalseg.cluster_runs import ClusterConfig
from frugalseg.errors import FrugalsegError
from frugalseg.recipes.auto import run_auto
from frugalseg.recipes.baselines import run_baselines
from frugalseg.recipes.clustering import all_results, train_and_score
from frugalseg.recipes.mnist import mnist_config
from frugalseg.recipes.semi import run_label_curves
from shapes import TINY, shapes


@pytest.fixture(autouse=True)
def _the_data_are_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    from frugalseg.training import cluster_plan

    monkeypatch.setattr(cluster_plan, "open_image_data", lambda *rest: shapes())


def test_runs_are_scored_once_and_few_labels_name_their_clusters(tmp_path: Path) -> None:
    config = ClusterConfig(**TINY | {"split": "train"})
    said: list[str] = []
    for _ in range(2):
        results = train_and_score(config, shapes(), "one", tmp_path, tmp_path / "out", said.append)
    assert sum(text.startswith("==") for text in said) == 2  # last and lowest, once each
    assert [result["what"]["variant"].split(",")[0] for result in results] == [
        "last weights",
        "lowest weights",
    ]
    assert len(all_results(tmp_path / "out")) == 2
    curves = run_label_curves([tmp_path / "one"], tmp_path / "c.json", [1.0, 0.2], [3, 9])
    assert curves == json.loads((tmp_path / "c.json").read_text())["runs"]
    assert [row["labels"] for row in curves[0]["by_choice"]] == [3, 9]
    assert curves[0]["by_share"][0]["labels"] == curves[0]["naming"] == 30


def test_baselines_group_and_are_kept(tmp_path: Path) -> None:
    config = ClusterConfig(**TINY | {"split": "train"})
    methods = ("k-means-pixels", "k-means-untrained-trunk")
    table = run_baselines(config, tmp_path, (0,), methods)
    assert table.count("\n") == 4
    found = {result["what"]["run"]: result["scores"] for result in all_results(tmp_path)}
    assert found["k-means-pixels"]["accuracy"] == 1  # bars and blobs are easy
    assert run_baselines(config, tmp_path, (0,), methods) == table
    with pytest.raises(FrugalsegError, match="No method 'k-medoids'"):
        run_baselines(config, tmp_path, (0,), ("k-medoids",))


class Reducer:
    """Takes what umap.UMAP takes, in its order; keeps the first components."""

    def __init__(
        self,
        n_neighbors: int = 15,
        n_components: int = 2,
        *,
        min_dist: float,
        random_state: int,
        n_jobs: int,
    ):
        assert n_neighbors == 15
        self.components = n_components

    def fit_transform(self, values: Any) -> Any:
        return values[:, : self.components]


def test_umap_is_given_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Reducer))
    config = ClusterConfig(**TINY | {"split": "train"})
    run_baselines(config, tmp_path, (0,), ("umap-mixture",))
    (result,) = all_results(tmp_path)
    assert result["what"]["run"] == "umap-mixture"
    assert result["what"]["clusters"] == 3


def test_counting_is_told_by_seed(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"over_clusters": 6, "split": "train"}
    config = ClusterConfig(**TINY | changes)
    result = run_auto(config, tmp_path / "auto.json", tmp_path / "runs", (1,))
    assert result["classes"] == 3
    assert [run["seed"] for run in result["runs"]] == [1]
    assert all(2 <= run["chosen"] <= 6 for run in result["runs"])
    assert np.isfinite([value for run in result["runs"] for _, value in run["curve"]]).all()


def test_the_papers_recipe_is_theirs() -> None:
    paper = mnist_config("data", paper=True)
    assert paper.batch * paper.copies == 700
    assert (paper.width, paper.rate, paper.over_clusters, paper.sub_heads) == (64, 1e-4, 50, 5)
    assert paper.turn * paper.batch == 70_000  # an epoch
    assert paper.order == ("main", "main", "over")
