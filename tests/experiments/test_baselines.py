import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from experiments.baselines import baselines
from experiments.num_clusters import num_clusters
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.config import ClusterConfig
from shapes import TINY, shapes


@pytest.fixture(autouse=True)
def _the_data_are_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("baselines", "num_clusters"):
        monkeypatch.setattr(f"experiments.{module}.open_data", lambda config: shapes())


def group(out: Path, *methods: str, **changes: Any) -> str:
    network = {"backbone": "vgg-iic", "width": 2, "augment": "digits", "features": out / "f"}
    asked = {"split": "train", "seeds": (0,), **network, **changes}
    return baselines(Path("shapes"), out=out, methods=methods, **asked)


def test_baselines_group_and_are_kept(tmp_path: Path) -> None:
    methods = ("k-means-pixels", "k-means-untrained-backbone", "k-means-features")
    table = group(tmp_path, *methods)
    assert table.count("\n") == 5
    result = json.loads((tmp_path / "k-means-pixels-0.json").read_text())
    assert result["scores"]["accuracy"] == 1  # bars and blobs are easy
    assert group(tmp_path, *methods) == table
    assert group(tmp_path, "k-means-pixels", width=3) == table  # pixels need no network
    with pytest.raises(FrugalsegError, match="width: 2 there, 3 asked"):
        group(tmp_path, "k-means-untrained-backbone", width=3)
    with pytest.raises(FrugalsegError, match="split: train there, all asked"):
        group(tmp_path, "k-means-pixels", split="all")
    with pytest.raises(FrugalsegError, match="No method 'k-medoids'"):
        group(tmp_path, "k-medoids")


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
    group(tmp_path, "umap-mixture")
    result = json.loads((tmp_path / "umap-mixture-0.json").read_text())
    assert result["what"]["run"] == "umap-mixture-0"
    assert result["what"]["clusters"] == 3
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(FrugalsegError, match="UMAP is not installed"):
        group(tmp_path, "umap-mixture", seeds=(1,))


def test_the_number_of_clusters_is_told_by_seed(tmp_path: Path) -> None:
    config = ClusterConfig(**TINY | {"overclusters": 6, "split": "train"})
    out, runs = tmp_path / "auto.json", tmp_path / "runs"
    line = num_clusters(Path("shapes"), out=out, runs=runs, seeds=(1,), config=config)
    result = json.loads(out.read_text())
    assert line == f"3 classes; chosen: [{result['runs'][0]['chosen']}]\n"
    assert [run["seed"] for run in result["runs"]] == [1]
    assert all(2 <= run["chosen"] <= 6 for run in result["runs"])
    other = ClusterConfig(**TINY | {"overclusters": 5, "split": "train"})
    with pytest.raises(FrugalsegError, match="other settings"):
        num_clusters(Path("shapes"), out=out, runs=runs, seeds=(1,), config=other)
