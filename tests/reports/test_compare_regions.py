from pathlib import Path

import numpy as np
import pytest

from frugalseg.evaluation.regions import adjusted_rand
from frugalseg.reports.compare_regions import crossed, matched_colours
from pages import Page, open_page
from textures import train, write_textures
from tiny import cli


def test_the_rand_index_of_counts_is_that_of_pixels() -> None:
    from sklearn.metrics import adjusted_rand_score

    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, (20, 30)).astype(np.uint8)
    second = np.where(rng.random(first.shape) < 0.4, first + 1, 0).astype(np.uint8)
    expected = adjusted_rand_score(first.ravel(), second.ravel())
    assert adjusted_rand(crossed(first, second, (3, 4))) == pytest.approx(expected)
    assert adjusted_rand(crossed(first, 2 - first, (3, 3))) == pytest.approx(1)
    assert adjusted_rand(np.array([[7]])) == 1


def test_pixels_are_counted_by_both_divisions() -> None:
    first, second = np.array([[0, 0, 1]], np.uint8), np.array([[2, 2, 0]], np.uint8)
    assert crossed(first, second, (2, 3)).tolist() == [[0, 0, 2], [1, 0, 0]]


def test_regions_that_overlap_have_one_colour() -> None:
    counts = np.array([[1, 90, 5], [80, 2, 6]])
    first, second = matched_colours(2, [counts])
    assert second[1].tolist() == first[0].tolist()
    assert second[0].tolist() == first[1].tolist()
    assert second[2].tolist() not in first.tolist()


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("compared")
    data = write_textures(root / "textures", 6) / "images"
    for name, classes in (("two", 2), ("three", 3)):
        train(data, root / name, classes=classes)
    answer = cli(
        *("compare", root / "two", root / "three"),
        *("--images", "2", "--out", root / "page.html"),
    )
    assert answer.code == 0, answer.err
    return root / "page.html"


def test_the_page_shows_the_same_images_of_all_runs(compared: Path) -> None:
    page = Page(compared.read_text())
    header, *rows = page.tables["agreement"]
    assert header[1:] == ["two", "three"]
    assert rows[0][1] == rows[1][2] == "1.000"
    assert rows[0][2] == rows[1][1]
    assert [row[0] for row in page.tables["scores"][1:]] == ["two", "three"]
    assert len(page.sources) == 2 * 3
    assert {"00.png", "05.png", "Learning curves"} <= set(page.texts)


def test_the_page_in_a_browser(browser, compared: Path) -> None:
    widths = open_page(browser, compared)
    assert len(widths) == 6
    assert all(widths)
