"""The files under results/ can be read, and their tables come out of them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from experiments.ablation import ablation_table
from experiments.boundary_transfer import transfer_table
from experiments.results import find_result, kind_of, read_results
from experiments.summary import summary_table
from frugalseg.engine.results import Result, read_result
from frugalseg.tasks.segment.config import SegmentConfig

RESULTS = Path(__file__).parents[2] / "results"
TABLES: dict[str, Callable[[Sequence[Result]], str]] = {
    "ablation": ablation_table,
    "joined_camvid": transfer_table,
    "joined_coffee_leaf": transfer_table,
}
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/table.md"))


def of_tasks() -> list[Path]:
    """Files that hold the result of a task or a baseline."""
    files = [(path, json.loads(path.read_text())) for path in sorted(RESULTS.rglob("*.json"))]
    return [path for path, plain in files if "task" in plain]


def test_all_results_of_tasks_can_be_read() -> None:
    files = of_tasks()
    assert len(files) > 200
    for path in files:
        result = read_result(path, kind_of(json.loads(path.read_text())["task"]))
        assert result.run


def test_no_old_words_are_left() -> None:
    old = ("health", "doubt", "trust", "trunk", "over_clusters", "over_losses", "over_sub_head")
    for path in RESULTS.rglob("*.json"):
        text = path.read_text()
        assert not [word for word in old if f'"{word}"' in text], path


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_tables_come_out_of_their_files(folder: Path) -> None:
    table = TABLES.get(folder.name, summary_table)(read_results(folder))
    assert (folder / "table.md").read_text() == table


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_result_in_a_table_holds_its_settings(folder: Path) -> None:
    for result in read_results(folder):
        settings: dict[str, Any] = result.parts["settings"]
        assert settings["seed"] == result.seed
        assert settings.get("steps") in (None, result.what.get("steps"))


def test_what_is_there_is_known_as_done() -> None:
    config = SegmentConfig(data="/elsewhere/camvid", sampler="uniform", size=(32, 32), steps=2000)
    path = RESULTS / "camvid" / "uniform-32x32-0.json"
    result = find_result(config, path, "test")
    assert result is not None
    assert result.run == "uniform-32x32-0"
