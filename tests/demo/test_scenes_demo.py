import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frugalseg.demo.scenes_demo import DemoSize, run_demo
from frugalseg.errors import FrugalsegError
from frugalseg.models.samplers import default_thumbnail
from frugalseg.tasks.segment.evaluate import multiply_adds
from frugalseg.tasks.segment.model import build_model
from frugalseg.tasks.segment.module import SegmentationModule

TINY = DemoSize(
    scenes=(6, 2, 2),
    scene_size=(64, 128),
    uniform=(16, 32),
    adaptive=(14, 30),
    steps=4,
    sampler_steps=4,
    shown=1,
)


def test_both_runs_cost_the_same() -> None:
    size = DemoSize()
    height, width = size.scene_size
    costs = {}
    for name, config in size.configs(Path("demo"), 0).items():
        thumbnail = default_thumbnail(config.size, width / height)
        resolved = replace(config, thumbnail=thumbnail)
        costs[name] = multiply_adds(build_model(resolved, 9, pretrained=False))
    assert costs["adaptive"]["total"] == pytest.approx(costs["uniform"]["total"], rel=0.01)
    assert costs["adaptive"]["sampler"] > 0
    assert min(height, width) >= 512


def test_an_interrupted_demonstration_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("frugalseg.engine.trainer.CHECKPOINT_STEPS", 2)
    whole = SegmentationModule.training_step

    def until(self: SegmentationModule, batch: Any, index: int) -> Any:
        if self.model.sampler.learns and self.global_step == 3:
            raise RuntimeError("power cut")
        return whole(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationModule, "training_step", until)
        with pytest.raises(RuntimeError, match="power cut"):
            run_demo(tmp_path, 0, TINY)
    kept = [tmp_path / "uniform/weights.safetensors", *tmp_path.glob("scenes/*/*/*")]
    times = [path.stat().st_mtime_ns for path in kept]
    results = run_demo(tmp_path, 0, TINY)
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert [result.what["sampler"] for result in results] == ["uniform", "density"]
    assert all(result.what["split"] == "test" for result in results)
    log = (tmp_path / "adaptive/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [2, 4, 2, 4]
    page = (tmp_path / "comparison.html").read_text()
    assert "uniform" in page
    assert "density" in page
    out = capsys.readouterr().out
    assert "| uniform | uniform | 16x32 |" in out
    assert "comparison.html" in out
    with pytest.raises(FrugalsegError, match=r"seed: 0 there, 1 asked.*"):
        run_demo(tmp_path, 1, TINY)
