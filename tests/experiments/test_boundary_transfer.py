import json
from pathlib import Path

import pytest

from experiments.boundary_transfer import boundary_transfer
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.config import SegmentConfig
from textures import TINY as REGIONS

SMALL = SegmentConfig(
    size=(16, 32),
    steps=2,
    sampler_steps=2,
    batch_size=2,
    segmenter="unet-plain",
    segmenter_options={"widths": [4, 8]},
)


def test_samplers_are_compared_by_what_teaches_them(scenes: Path, tmp_path: Path) -> None:
    out, runs = tmp_path / "out", tmp_path / "runs"
    settings = {name: value for name, value in REGIONS.items() if name != "classes"}
    settings |= {"side": 48, "steps": 1}
    asked = {"out": out, "runs": runs, "regions": 2, "shares": (0.5,), "config": SMALL}
    table = boundary_transfer(scenes, settings=settings, **asked)
    rows = [[cell.strip() for cell in row.split("|")[1:4]] for row in table.splitlines()[2:]]
    assert rows == [[name, "50%", "16x32"] for name in ("none (uniform)", "true", "discovered")]
    assert (out / "table.md").read_text() == table
    result = json.loads((out / "discovered-0.5-0.json").read_text())
    assert result["settings"]["boundaries"] == "regions-2"
    assert 0 < result["ceiling"]["all"] <= 1
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")}
    assert boundary_transfer(scenes, settings=settings, **asked) == table
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.json")} == times
    with pytest.raises(FrugalsegError, match="other settings"):  # of the discovery
        boundary_transfer(scenes, settings={**settings, "steps": 2}, **asked)
    other = {**asked, "regions": 3}
    with pytest.raises(FrugalsegError, match="boundaries: regions-2 there, regions-3 asked"):
        boundary_transfer(scenes, settings={**settings, "overclasses": 6}, **other)
