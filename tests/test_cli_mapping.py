"""Merged classes through the command line: the masks hold fine ids, the run has coarse classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.boundary_transfer import sampling_ceiling
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.model import load_run
from tiny import TINY, cli

# coarse id of each fine id 0 to 8: most are also a fine id, of another class
INTO = (2, 0, 1, 1, 0, 3, 3, 3, 3)
NAMES = ("standing", "ground", "sky", "thing")


@pytest.fixture(scope="module")
def merged(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on merged classes. Not to be changed."""
    folder = tmp_path_factory.mktemp("merged")
    lines = [f"{fine},fine {fine},{into},{NAMES[into]}" for fine, into in enumerate(INTO)]
    header = "fine_id,fine_name,coarse_id,coarse_name"
    (folder / "coarse.csv").write_text("\n".join([header, *lines]))
    words = ("--mapping", folder / "coarse.csv", *TINY)
    answer = cli("segment", scenes, "--run", folder / "run", *words)
    assert answer.code == 0, answer.err
    return folder / "run"


def pixels(scenes: Path, split: str) -> dict[str, int]:
    """Of each coarse class, counted in the masks."""
    masks = [np.array(Image.open(path)) for path in scenes.glob(f"masks/{split}/*.png")]
    counts = np.bincount(np.array(INTO)[np.stack(masks).ravel()], minlength=len(NAMES))
    return dict(zip(NAMES, counts.tolist(), strict=True))


def test_a_run_on_merged_classes_is_evaluated(merged: Path, scenes: Path) -> None:
    result = json.loads((merged / "results" / "scenes-val.json").read_text())
    assert result["scores"]["pixels"] == pixels(scenes, "val")
    answer = cli("evaluate", merged, "--split", "test")
    assert answer.code == 0, answer.err
    result = json.loads((merged / "results" / "scenes-test.json").read_text())
    assert result["scores"]["pixels"] == pixels(scenes, "test")


def test_a_run_on_merged_classes_is_compared(merged: Path, tmp_path: Path) -> None:
    words = ("--split", "val", "--images", "1", "--out", tmp_path / "page.html")
    answer = cli("compare", merged, merged, *words)
    assert answer.code == 0, answer.err


def test_the_ceiling_of_a_run_on_merged_classes(merged: Path) -> None:
    run = load_run(merged)
    ceiling = sampling_ceiling(run, open_data(run.config), "val")
    assert ceiling["all"] is not None
    assert 0.3 < ceiling["all"] <= 1
