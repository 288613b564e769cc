import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from experiments.label_efficiency import (
    draw_label_curves,
    label_efficiency,
    name_images,
    share_curve,
    suggestion_curve,
)
from shapes import shapes, train


def planted(count=200, seed=0):
    """Sure answers of 4 clusters and 8 overclusters, two classes of two clusters each."""
    rng = np.random.default_rng(seed)
    finer = rng.integers(8, size=count)
    overcluster = 0.9 * np.eye(8)[finer] + 0.1 * rng.dirichlet(np.ones(8), count)
    main = 0.9 * np.eye(4)[finer // 2] + 0.1 * rng.dirichlet(np.ones(4), count)
    return main, overcluster, finer, finer // 4


def test_all_labels_name_all_clusters_and_one_names_one():
    _, _, finer, labels = planted()
    labels = np.where(np.arange(200) == 3, -1, labels)
    naming, test = np.arange(100), np.arange(100, 200)
    curve = share_curve(finer, labels, naming, test, [1.0, 1 / 99], seeds=5)
    assert curve[0]["labels"] == 99
    assert curve[0]["accuracy"]["mean"] == 1
    one = curve[1]
    assert one["labels"] == 1
    largest = np.bincount(finer[test]).max() / 100
    assert 0 < one["accuracy"]["mean"] <= largest + 1e-9


def test_votes_are_those_of_the_nearest_where_answers_are_sure():
    main, overcluster, _, labels = planted()
    labelled = np.arange(30)
    roots = np.sqrt(np.concatenate([main, overcluster], 1))
    nearest = KNeighborsClassifier(1).fit(roots[:30], labels[:30]).predict(roots)
    named = name_images(main, overcluster, labelled, labels[labelled])
    assert (named == nearest).mean() > 0.97


def test_suggested_images_that_cover_beat_random_ones():
    main, overcluster, finer, labels = planted()
    one_each = [int(np.flatnonzero(finer == k)[0]) for k in (0, 2, 4, 6)]
    curve = suggestion_curve(main, overcluster, labels, lambda n: one_each[:n], [4], seeds=20)
    assert curve[0]["suggested"] == pytest.approx(1.0)
    assert curve[0]["random"]["mean"] < 1


def run(clusters: int, labels: tuple[int, ...] = (10, 50)) -> dict[str, Any]:
    spread = {"mean": 0.8, "least": 0.7, "greatest": 0.9}
    return {
        "run": f"run{clusters}",
        "overclusters": clusters,
        "by_share": [{"share": share, "accuracy": spread} for share in (1.0, 0.1)],
        "by_choice": [{"labels": n, "suggested": 0.8, "random": spread} for n in labels],
    }


def panels(runs: list[dict[str, Any]], path: Path) -> int:
    draw_label_curves(runs, path)
    return path.read_text().count('id="axes_')


def test_curves_against_k_are_drawn_where_runs_differ_in_it(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    assert panels([run(20)], path) == 2
    assert panels([run(20), run(20)], path) == 2
    assert panels([run(20), run(50)], path) == 3
    assert panels([run(20, labels=())], path) == 1


def test_the_same_curves_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_label_curves([run(20), run(50)], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_few_labels_name_the_clusters_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.label_efficiency.open_data", lambda config: shapes())
    train(tmp_path / "one", split="train")
    out = tmp_path / "curves.json"
    curves = label_efficiency([tmp_path / "one"], out=out, shares=(1.0, 0.2), numbers=(3, 9))
    assert curves == json.loads(out.read_text())["runs"]
    assert [row["labels"] for row in curves[0]["by_choice"]] == [3, 9]
    assert curves[0]["by_share"][0]["labels"] == curves[0]["naming"] == 30
    assert "<svg" in out.with_suffix(".svg").read_text()
