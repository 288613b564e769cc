import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.clusters import agreement_with_over
from frugalseg.reports import cluster, cluster_map
from frugalseg.reports.cluster_choice import choose_images, confused_clusters
from frugalseg.reports.cluster_words import health_in_words

HEALTH = {"balance": 0.97, "doubt": 0.1, "used": 3.0, "clusters": 3.0, "agreement": 0.9}


def answers(count: int, clusters: int, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).gamma(0.2, size=(count, clusters)) + 1e-6
    return raw / raw.sum(1, keepdims=True)


def read(side: int, indices: np.ndarray) -> np.ndarray:
    """Images whose brightness is their number."""
    return np.stack([np.full((side, side, 1), i % 256, np.uint8) for i in indices])


def report(**changes: Any) -> cluster.ClusterReport:
    names = [f"<{i}>.jpg" for i in range(40)]
    whole = cluster.ClusterReport("Flowers & trees", names, answers(40, 3), read, HEALTH)
    return replace(whole, **changes)


def test_a_gallery_shows_each_image_once_and_the_right_ones() -> None:
    probabilities, over = answers(300, 4), answers(300, 12, 1)
    chosen = choose_images(probabilities, over, typical=5, doubtful=3)
    winners, sure = probabilities.argmax(1), probabilities.max(1)
    for each in chosen:
        assert set(each.members) == set(np.flatnonzero(winners == each.cluster))
        assert (np.diff(sure[each.members]) <= 0).all()
        shown = [*each.typical, *each.unsure, *each.odd]
        assert len(shown) == len(set(shown)) <= 11
        assert set(shown) <= set(each.members)
        assert (sure[each.unsure] < 0.9).all()
        left = set(each.members) - set(each.typical) - set(each.unsure)
        assert all(sure[i] >= sure[each.unsure].max() for i in left)


def test_agreement_with_the_finer_grouping_from_its_definition() -> None:
    probabilities, over = answers(30, 3), answers(30, 5, 1)
    for i in (0, 7, 29):
        own = probabilities[i].argmax()
        expected = 0.0
        for o in range(5):
            mass = sum(over[n, o] * probabilities[n] for n in range(30))
            expected += over[i, o] * mass[own] / mass.sum()
        assert agreement_with_over(probabilities, over)[i] == pytest.approx(expected)


def test_an_image_whose_overcluster_lies_elsewhere_is_odd() -> None:
    probabilities, over = np.zeros((40, 2)), np.zeros((40, 4))
    probabilities[:20, 0], probabilities[20:, 1] = 1, 1
    over[:20, 0], over[20:, 1] = 1, 1
    over[3] = [0, 1, 0, 0]
    first, second = choose_images(probabilities, over)
    assert first.odd.tolist() == [3]
    assert second.odd.tolist() == []
    assert choose_images(probabilities, None)[0].odd.tolist() == []


def test_confused_clusters_share_their_answers() -> None:
    probabilities = np.full((30, 4), 1e-9)
    probabilities[:10, 0] = 1
    probabilities[10:20, 1], probabilities[10:20, 0] = 0.7, 0.3
    probabilities[15] = [0.45, 0.55, 0, 0]
    probabilities[20:, 2] = 1
    (pair,) = confused_clusters(probabilities)
    assert (pair.first, pair.second) == (0, 1)
    assert pair.share == pytest.approx((9 * 0.3 + 0.45) / 20, abs=1e-6)
    assert pair.between[0] == 15
    assert confused_clusters(np.eye(3)) == []


@pytest.mark.parametrize(
    ("changes", "losses", "says"),
    [
        ({"used": 1.0, "balance": 0.01, "doubt": 0.01}, [], "All images went to 1 of 10 clusters"),
        ({"used": 8.0}, [], "2 of 10 clusters stayed empty"),
        ({"balance": 0.6}, [], "very different size"),
        ({"largest": 0.2}, [], "holds 20% of the images, 2.0 times an equal share"),
        ({"doubt": 0.97}, [], "hardly depend on the image"),
        ({"doubt": 0.3}, [], "lie between clusters"),
        ({"agreement": 0.4}, [], "the same answer in 40%"),
        ({}, [-2.2, -1.5], "losses from -2.20 to -1.50"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_try(
    changes: dict[str, float], losses: list[float], says: str
) -> None:
    remarks = health_in_words({**HEALTH, "used": 10.0, "clusters": 10.0, **changes}, losses)
    assert [remark.sound for remark in remarks] == [False]
    assert says in remarks[0].text


def test_a_sound_clustering_is_called_so() -> None:
    (remark,) = health_in_words(HEALTH, [-1.0, -0.9])
    assert remark.sound
    assert "Nothing collapsed" in remark.text
    without = {k: v for k, v in HEALTH.items() if k != "agreement"}
    assert "views" not in health_in_words(without)[0].text


def test_clusters_have_different_colours() -> None:
    for count in (1, 2, 10, 30):
        colours = cluster.cluster_colours(count).astype(int)
        distance = np.abs(colours[:, None] - colours).sum(-1) + 999 * np.eye(count)
        assert distance.min() > 20


def test_no_two_thumbnails_of_a_map_overlap() -> None:
    places = np.random.default_rng(0).normal(size=(500, 2))
    chosen, pixels = cluster_map.place_thumbnails(places, 44)
    cells = pixels[chosen] // 44
    assert len(np.unique(cells, axis=0)) == len(chosen) > 50
    assert (pixels >= 0).all()
    assert (pixels <= [cluster_map.WIDTH, cluster_map.HEIGHT]).all()
    # no dot is farther from the drawn image of its cell than the cell is wide
    assert len(np.unique(pixels // 44, axis=0)) == len(chosen)


def test_the_page_holds_everything_and_needs_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, 40)
    table = np.zeros((3, 2), int)
    known = labels >= 0
    np.add.at(table, (answers(40, 3).argmax(1)[known], labels[known]), 1)
    scores = {"accuracy": 0.75, "nmi": 0.5, "ari": 0.4, "labelled": int(known.sum())}
    history = [
        {
            "training": "clustering",
            "step": s,
            "main": -0.01 * s,
            "balance": 0.9,
            "doubt": 0.5,
            "accuracy": [0.5, 0.6],
        }
        for s in (100, 200)
    ]
    whole = report(
        over=answers(40, 9, 1),
        places=rng.normal(size=(40, 2)),
        cluster_names=("oak", "<rose>", "cluster 2"),
        losses=[-1.0, -0.8],
        restarts=[-1.0, -0.9],
        history=history,
        labels=labels,
        class_names=("oak", "<rose>"),
        scores={**scores, "confusion": table.tolist()},
        counts={"curve": [(2, 0.1), (3, 0.5), (4, 0.2)], "chosen": 3, "says": "Three it is."},
        duplicates=([[0, 5]], [[1, 2, 3]]),
        problems=["x.jpg is not an image."],
        facts={"command": "frugalseg cluster"},
    )
    cluster.write_cluster_page(whole, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    for text in ("Flowers &amp; trees", "75.0%", "&lt;rose&gt;", "&lt;0&gt;.jpg", "Three it is."):
        assert text in html
    for text in ("x.jpg is not an image.", "most typical", "Images that come twice", "0.500"):
        assert text in html
    assert "<rose>" not in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert html.count("<svg") == 4
    for uri in re.findall(r'src="data:image/\w+;base64,([^"]+)"', html):
        Image.open(io.BytesIO(base64.b64decode(uri))).load()


def test_a_page_of_little_leaves_out_what_it_lacks() -> None:
    html = cluster.cluster_page(report())
    for text in ("Learning curves", "Clusters and labels", "Map", "Images that come twice"):
        assert f"<h2>{text}</h2>" not in html
    empty = np.zeros((40, 3))
    empty[:, 1] = 1
    html = cluster.cluster_page(report(probabilities=empty))
    assert "No two" not in html
    assert "None: no two clusters share" in html


def test_large_pages_have_smaller_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = []

    def watch(side: int, indices: np.ndarray) -> np.ndarray:
        sides.append(side)
        return read(side, indices)

    cluster.cluster_page(report(read=watch))
    monkeypatch.setattr(cluster, "PICTURE_BUDGET", 20_000)
    cluster.cluster_page(report(read=watch))
    assert sides[0] == 96
    assert sides[-1] < 48


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FrugalsegError, match="cannot be written"):
        cluster.write_cluster_page(report(), tmp_path / "file" / "page.html")
