import json
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import app
from experiments.grid import study
from experiments.latency import draw_seconds
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.config import SegmentConfig

SMALL = SegmentConfig(
    steps=4,
    sampler_steps=4,
    batch_size=2,
    segmenter="unet-plain",
    segmenter_options={"widths": [4, 8]},
)


def experiment(*words: Any) -> None:
    app(["latency", *map(str, words)], result_action="return_value")


def test_runs_are_timed_by_turns_and_drawn(scenes: Path, tmp_path: Path) -> None:
    places = {"out": tmp_path / "scores", "runs": tmp_path / "runs"}
    study(scenes, **places, samplers=("uniform", "oracle"), sizes=("16x32",), config=SMALL)
    names = ["uniform-16x32-0", "oracle-16x32-0"]
    runs = [tmp_path / "runs" / name for name in names]
    out = tmp_path / "seconds.json"
    experiment(*runs, "--out", out, "--scores", tmp_path / "scores", "--images", 2, "--rounds", 2)
    result = json.loads(out.read_text())
    assert result["what"]["images"] == 2
    assert [row["run"] for row in result["runs"]] == names
    for row in result["runs"]:
        stages = dict(row["seconds"])
        total = stages.pop("total")
        assert total == pytest.approx(sum(stages.values()))
        assert min(stages.values()) > 0
        assert row["size"] == [16, 32]
    curve = out.with_suffix(".svg").read_text()
    for text in ("uniform", "oracle", "ms an image", "mIoU all"):
        assert f"<!-- {text} -->" in curve


def test_times_of_other_runs_are_refused(tmp_path: Path, trained: dict[str, Path]) -> None:
    with pytest.raises(FrugalsegError, match="Name the runs"):
        experiment("--out", tmp_path / "seconds.json")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(FrugalsegError, match="holds no times"):
        draw_seconds(tmp_path, tmp_path / "broken.json", tmp_path / "curve.svg")
    timed = tmp_path / "timed"
    timed.mkdir()
    experiment(trained["density"], "--out", timed / "s.json", "--images", 1, "--rounds", 1)
    with pytest.raises(FrugalsegError, match="no results of a grid"):
        draw_seconds(tmp_path / "none", timed / "s.json", tmp_path / "curve.svg")
    with pytest.raises(FrugalsegError, match="at least 1 image"):
        experiment(trained["density"], "--out", timed / "t.json", "--rounds", 0)
    result = json.loads((trained["uniform"] / "results" / "scenes-val.json").read_text())
    result["what"]["size"] = [9, 9]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "one.json").write_text(json.dumps(result))
    with pytest.raises(FrugalsegError, match="no result of a sampler"):
        draw_seconds(tmp_path / "other", timed / "s.json", tmp_path / "curve.svg")
    assert not (tmp_path / "curve.svg").exists()
