from pathlib import Path

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.evaluate import evaluate_run, samples_to_score
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
