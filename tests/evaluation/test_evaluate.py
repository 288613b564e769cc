import dataclasses
from pathlib import Path

import pytest
import torch

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.evaluate import evaluate_run, samples_to_score, variant_of
from frugalseg.recipes.study import run_study
from frugalseg.runs import SegmentConfig, load_run
from frugalseg.training.segment import open_data


def test_splits_without_masks_are_refused_and_not_offered(
    scenes: Path, trained: dict[str, Path], tmp_path: Path
) -> None:
    config = SegmentConfig(str(scenes), mask_share=0.5)
    data = open_data(config)
    assert len(data.splits["unlabelled"]) == 3
    run = load_run(trained["uniform"])
    for split, lacks in (("unlabelled", "masks"), ("tset", "images")):
        with pytest.raises(FrugalsegError) as raised:
            evaluate_run(run, data, split)
        assert str(raised.value) == (
            f"{scenes} has no {lacks} in the split '{split}'; those to score are train, val, test."
        )
    with pytest.raises(FrugalsegError, match="no masks"):  # before anything is trained
        run_study(config, ["uniform"], [(16, 32)], [0], "unlabelled", tmp_path, tmp_path / "runs")
    assert not any(tmp_path.iterdir())
    assert samples_to_score(data, "val") == data.splits["val"]


def test_settings_away_from_their_defaults_tell_runs_apart() -> None:
    plain = SegmentConfig("data")
    assert variant_of(plain) is None
    same = dataclasses.replace(plain, data="x", size=(8, 8), seed=3, steps=5, devices="1")
    assert variant_of(same) is None
    elsewhere = {"data", "size", "sampler", "segmenter", "encoder", "steps", "seed"}
    for field in dataclasses.fields(SegmentConfig):
        if field.name in elsewhere | {"devices", "nodes"}:
            continue
        value = (
            {"x": 1} if field.name.endswith("options") else CHANGED.get(type(field.default), "x")
        )
        assert variant_of(dataclasses.replace(plain, **{field.name: value})), field.name
    with_paths = dataclasses.replace(plain, boundaries="runs/regions", classes="lists/c.csv")
    assert variant_of(with_paths) == "classes=c.csv, boundaries of regions"
    assert variant_of(with_paths, divided=True) == "classes=c.csv, regions of regions"
    uniform = dataclasses.replace(plain, boundaries="runs/regions", sampler="uniform")
    assert variant_of(uniform) is None  # which has nothing to learn from them


CHANGED = {bool: None, int: 7, float: 0.123}


def test_uniform_sampling_costs_no_view(trained: dict[str, Path], scenes: Path) -> None:
    run = load_run(trained["uniform"])
    image = next((scenes / "images" / "test").iterdir())
    seen = []
    with torch.no_grad():
        run.model.sampler.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
        run.model.predict(image)
    assert seen == [(1, 3, 1, 1)]
