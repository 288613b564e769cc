from pathlib import Path

import numpy as np
import pytest

from frugalseg.tasks.discover.report import matched_colours
from pages import Page, open_page
from textures import train, write_textures
from tiny import cli


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
