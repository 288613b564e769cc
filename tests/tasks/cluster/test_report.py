import base64
import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from frugalseg.tasks.cluster import gallery
from frugalseg.tasks.cluster import report as cluster
from frugalseg.tasks.cluster.evaluate import Answers, agreement_with_overcluster
from frugalseg.tasks.cluster.gallery import choose_images, confused_clusters
from frugalseg.tasks.iic.diagnostics_text import diagnostics_in_words

DIAGNOSTICS = {"balance": 0.97, "entropy": 0.1, "used": 3.0, "clusters": 3.0, "agreement": 0.9}


def answers(count: int, clusters: int, seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).gamma(0.2, size=(count, clusters)) + 1e-6
    return raw / raw.sum(1, keepdims=True)


def read(side: int, indices: np.ndarray) -> np.ndarray:
    """Images whose brightness is their number."""
    return np.stack([np.full((side, side, 1), i % 256, np.uint8) for i in indices])


def report(probabilities: np.ndarray | None = None, **changes: Any) -> cluster.ClusterReport:
    soft = answers(40, 3) if probabilities is None else probabilities
    labelled = {name: changes.pop(name) for name in ("labels", "class_names") if name in changes}
    whole = cluster.ClusterReport(
        title="Flowers & trees",
        answers=Answers(
            names=tuple(f"<{i}>.jpg" for i in range(40)),
            indices=np.arange(40),
            probabilities=soft,
            overcluster_probabilities=answers(40, 9, 1),
            sub_heads=soft.argmax(1)[None],
            diagnostics=DIAGNOSTICS,
            **labelled,
        ),
        read=read,
        diagnostics=DIAGNOSTICS,
    )
    return replace(whole, **changes)


def test_a_gallery_shows_each_image_once_and_the_right_ones() -> None:
    probabilities, overcluster = answers(300, 4), answers(300, 12, 1)
    chosen = choose_images(probabilities, overcluster, typical=5, unsure=3)
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
    probabilities, overcluster = answers(30, 3), answers(30, 5, 1)
    for i in (0, 7, 29):
        own = probabilities[i].argmax()
        expected = 0.0
        for o in range(5):
            mass = sum(overcluster[n, o] * probabilities[n] for n in range(30))
            expected += overcluster[i, o] * mass[own] / mass.sum()
        assert agreement_with_overcluster(probabilities, overcluster)[i] == pytest.approx(expected)


def test_an_image_whose_overcluster_lies_elsewhere_is_odd() -> None:
    probabilities, overcluster = np.zeros((40, 2)), np.zeros((40, 4))
    probabilities[:20, 0], probabilities[20:, 1] = 1, 1
    overcluster[:20, 0], overcluster[20:, 1] = 1, 1
    overcluster[3] = [0, 1, 0, 0]
    first, second = choose_images(probabilities, overcluster)
    assert first.odd.tolist() == [3]
    assert second.odd.tolist() == []


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
        (
            {"used": 1.0, "balance": 0.01, "entropy": 0.01},
            [],
            "All images went to 1 of 10 clusters",
        ),
        ({"used": 8.0}, [], "2 of 10 clusters stayed empty"),
        ({"balance": 0.6}, [], "very different size"),
        ({"largest": 0.2}, [], "holds 20% of the images, 2.0 times an equal share"),
        ({"entropy": 0.97}, [], "hardly depend on the image"),
        ({"entropy": 0.3}, [], "lie between clusters"),
        ({"agreement": 0.4}, [], "the same answer in only 40%"),
        ({}, [-2.2, -1.5], "losses from -2.20 to -1.50"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_try(
    changes: dict[str, float], losses: list[float], says: str
) -> None:
    remarks = diagnostics_in_words(
        {**DIAGNOSTICS, "used": 10.0, "clusters": 10.0, **changes}, losses
    )
    assert [remark.sound for remark in remarks] == [False]
    assert says in remarks[0].text


def test_a_sound_clustering_is_called_so() -> None:
    (remark,) = diagnostics_in_words(DIAGNOSTICS, [-1.0, -0.9])
    assert remark.sound
    assert "Nothing collapsed" in remark.text
    without = {k: v for k, v in DIAGNOSTICS.items() if k != "agreement"}
    assert "augment" not in diagnostics_in_words(without)[0].text


@pytest.mark.parametrize(
    "changes", [{"used": 1.0}, {"balance": 0.5}, {"agreement": 0.5}, {"entropy": 0.6}]
)
def test_no_training_is_advised_where_there_was_none(changes: dict[str, float]) -> None:
    remarks = diagnostics_in_words(DIAGNOSTICS | changes, (), "places", trained=False)
    for word in ("learning", "train", "restarts", "num-views"):
        assert not any(word in remark.text for remark in remarks)


def test_clusters_have_different_colours() -> None:
    for count in (1, 2, 10, 30):
        colours = report(probabilities=answers(40, count)).colours.astype(int)
        distance = np.abs(colours[:, None] - colours).sum(-1) + 999 * np.eye(count)
        assert distance.min() > 20


def test_no_two_thumbnails_of_a_map_overlap() -> None:
    places = np.random.default_rng(0).normal(size=(500, 2))
    chosen, pixels = gallery.place_thumbnails(places)
    cells = pixels[chosen] // 44
    assert len(np.unique(cells, axis=0)) == len(chosen) > 50
    assert (pixels >= 0).all()
    assert (pixels <= [gallery.WIDTH, gallery.HEIGHT]).all()
    # no dot is farther from the drawn image of its cell than the cell is wide
    assert len(np.unique(pixels // 44, axis=0)) == len(chosen)


def test_the_page_holds_everything_and_needs_nothing() -> None:
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
            "entropy": 0.5,
            "accuracy": [0.5, 0.6],
        }
        for s in (100, 200)
    ]
    whole = report(
        losses=[-1.0, -0.8],
        restarts=[-1.0, -0.9],
        history=history,
        labels=labels,
        class_names=("oak", "<rose>"),
        scores={**scores, "confusion": table.tolist()},
        counts={"curve": [(2, 0.1), (3, 0.5), (4, 0.2)], "chosen": 3, "says": "Three it is."},
        duplicates=[[0, 5], [1, 2, 3]],
        problems=["x.jpg is not an image."],
        metadata={"command": "frugalseg cluster"},
    )
    html = cluster.cluster_page(whole)
    for text in ("Flowers &amp; trees", "75.0%", "&lt;rose&gt;", "&lt;0&gt;.jpg", "Three it is."):
        assert text in html
    for text in (
        "x.jpg is not an image.",
        "most typical",
        "2 groups of the same file (5 images)",
        "0.500",
    ):
        assert text in html
    assert "<rose>" not in html
    assert not re.search(r'(src|href)="(?!data:|#)', html)
    assert html.count("<svg") == 4
    for uri in re.findall(r'src="data:image/\w+;base64,([^"]+)"', html):
        Image.open(io.BytesIO(base64.b64decode(uri))).load()


def test_a_page_of_little_leaves_out_what_it_lacks() -> None:
    html = cluster.cluster_page(report())
    for text in ("Learning curves", "Clusters and labels", "Duplicate images"):
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
