from pathlib import Path

import pytest
import torch
from torch import nn

import frugalseg
from frugalseg.evaluation.evaluate import evaluate_run
from frugalseg.runs import load_run
from frugalseg.training.segment import open_data


def test_a_run_is_loaded_onto_the_gpu(
    trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = []

    def to(self: nn.Module, *arguments: object, **options: object) -> nn.Module:
        moved.extend(a for a in arguments if isinstance(a, torch.device))
        return self

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(nn.Module, "to", to)
    frugalseg.load(trained["density"])
    assert moved == [torch.device("cuda")]


def test_a_result_says_what_it_was_computed_on(
    trained: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load_run(trained["density"])
    run.model.cpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # there, and not used
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    result = evaluate_run(run, open_data(run.config), "test")
    assert result["environment"]["device"] == "cpu"
