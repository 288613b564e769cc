import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frugalseg.tasks.discover.gallery import Patch, Shown
from frugalseg.tasks.discover.report import RegionReport, region_page
from pages import Page, open_page, page_width
from textures import WORDS, write_textures
from tiny import cli

DIAGNOSTICS = {"balance": 0.97, "entropy": 0.1, "used": 3.0, "clusters": 3.0, "agreement": 0.9}
COLOURS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.uint8)


def shown(name: str, *more: str) -> Shown:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    shares = np.array([0.7, 0.295, 0.005])
    return Shown(name, shares, 0.25, dict.fromkeys(("image", "regions", *more), image))


def report(**changes: Any) -> RegionReport:
    patch = Patch("<1>.jpg", 0.98, np.zeros((88, 88, 3), np.uint8))
    whole: dict[str, Any] = {
        "title": "Walls & skies",
        "names": ("wall", "<sky>", "region 2"),
        "colours": COLOURS,
        "shares": np.array([[0.2, 0.8, 0.0], [0.3, 0.695, 0.005]]),
        "diagnostics": DIAGNOSTICS,
        "confidence": [0.9, 0.8, None],
        "patches": [[patch], [patch, patch], []],
        "varied": [shown("<a>.jpg")],
        "uncertain": [shown("b.jpg", "entropy")],
    }
    return RegionReport(**(whole | changes))


def test_regions_come_by_size_with_their_shares() -> None:
    page = Page(region_page(report()))
    assert page.tables["regions"][1:] == [
        ["<sky>", "74.8%", "2", "80%", ""],
        ["wall", "25.0%", "2", "90%", ""],
        ["region 2", "0.2%", "0", "none", ""],
    ]
    assert len(page.sources) == 3 + 2 + 3  # patches, image and regions, and entropy
    assert "Regions and classes" not in page.texts
    assert "Learning curves" not in page.texts
    assert any("all 3 regions are used" in text for text in page.texts)


def test_masks_add_scores_and_what_each_region_is() -> None:
    scores = {
        "accuracy": 0.75,
        "accuracy_many_to_one": 0.8,
        "accuracy_of_one_region": 0.6,
        "miou": 0.5,
        "iou": {"wall": 0.625, "<sky>": None},
        "mapping": [0, 1, -1],
        "confusion": [[60, 0], [20, 0], [20, 0]],
    }
    changed = report(scores=scores, class_names=("wall", "<sky>"), varied=[shown("a.jpg", "masks")])
    page = Page(region_page(changed))
    assert page.tables["classes"][1:] == [["wall", "100.0%", "0.625"], ["<sky>", "0.0%", "absent"]]
    assert page.tables["confusion"] == [
        ["region", "wall", "<sky>"],
        ["wall", "100%", ""],
        ["<sky>", "100%", ""],
        ["region 2", "100%", ""],
    ]
    assert {"75.0%", "60.0%", "if all were wall", "masks"} <= set(page.texts)


def test_the_choice_of_the_number_is_told_with_its_curve() -> None:
    counts = {"curve": [[2, 0.9], [3, 0.8], [4, 0.3]], "chosen": 3, "value": "share"}
    text = region_page(report(counts=counts | {"says": "Three it is."}))
    assert "Three it is." in text
    assert text.count("<svg") == 1


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page by the command, with masks."""
    root = tmp_path_factory.mktemp("page")
    data = write_textures(root / "textures", 6)
    masks = ("--masks", data / "masks", "--class-list", data / "classes.csv")
    answer = cli("discover", data / "images", "--run", root / "run", *masks, *WORDS)
    assert answer.code == 0, answer.err
    return root / "run" / "report.html"


def test_the_command_writes_a_page_that_needs_nothing_else(written: Path) -> None:
    text = written.read_text()
    page = Page(text)
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert {row[0] for row in page.tables["classes"][1:]} == {"dark", "bright"}
    assert "Learning curves" in page.texts
    shares = [float(row[1].rstrip("%")) for row in page.tables["regions"][1:]]
    assert sum(shares) == pytest.approx(100, abs=0.2)


def test_the_page_in_a_browser(browser, written: Path) -> None:
    widths = open_page(browser, written)
    assert len(widths) >= 6 * 2
    assert all(widths)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_scrolls_sideways_on_no_screen(browser, written: Path, width: int) -> None:
    assert page_width(browser, written, width) <= width
