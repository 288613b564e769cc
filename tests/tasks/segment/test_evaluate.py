from pathlib import Path

import pytest
import torch
from torch import nn

from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.evaluate import evaluate_run, samples_to_score
from frugalseg.tasks.segment.model import load_run


def test_splits_without_masks_are_refused_and_not_offered(
    scenes: Path, trained: dict[str, Path]
) -> None:
    config = SegmentConfig(str(scenes), mask_share=0.5)
    data = open_data(config)
    assert len(data.splits["unlabelled"]) == 3
    run = load_run(trained["uniform"])
    for split, lacks in (("unlabelled", "masks"), ("tset", "images")):
        with pytest.raises(FrugalsegError) as raised:
            evaluate_run(run, data, split)
        assert str(raised.value) == (
            f"{scenes} has no {lacks} in the split '{split}'; "
            "those to score are train, val, test, all."
        )
    assert samples_to_score(data, "val") == data.splits["val"]


def test_a_result_says_what_it_was_computed_on(
    trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(trained["density"])
    run.model.cpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # there, and not used
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    result = evaluate_run(run, open_data(run.asked), "test")
    assert result.environment["device"] == "cpu"


def test_a_run_is_loaded_onto_the_gpu(
    trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []

    def to(self: nn.Module, *arguments: object, **options: object) -> nn.Module:
        moved.extend(a for a in arguments if isinstance(a, torch.device))
        return self

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(nn.Module, "to", to)
    load_run(trained["density"])
    assert moved == [torch.device("cuda")]


def test_uniform_sampling_costs_no_view(trained: dict[str, Path], scenes: Path) -> None:
    run = load_run(trained["uniform"])
    image = next((scenes / "images" / "test").iterdir())
    seen = []
    with torch.no_grad():
        run.model.sampler.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
        run.model.predict(image)
    assert seen == [(1, 3, 1, 1)]
