"""What was run, for the foot of a page; and how it learned."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def run_facts(
    result: Mapping[str, Any], own: Mapping[str, str], state: Mapping[str, Any]
) -> dict[str, str]:
    """Names and texts that say what was run, on what and when.

    Args:
        result: as of :func:`frugalseg.evaluation.cluster_results.cluster_result`.
        own: of the task, such as the network and its training.
        state: of the run.
    """
    what, environment = result["what"], result["environment"]
    facts = {
        "command": what["command"],
        "data": f"{what['data']}, {what['split']}: {what['images']:,} images",
        **own,
        "seed": str(what["seed"]),
        "oracle stop": "",
        "software": f"frugalseg {environment['frugalseg']}, torch {environment['torch']}",
        "hardware": environment.get("gpu") or environment.get("cpu") or "",
        "date": environment["date"],
    }
    oracle = state.get("oracle")
    if oracle:
        facts["oracle stop"] = (
            f"accuracy {oracle['accuracy']:.1%} at step {oracle['step']}, the best sub-head and "
            "step by labels: for comparison with published figures only"
        )
    return {name: text for name, text in facts.items() if text}


def kept_history(folder: Path, state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The learning curves of the training of a run that was kept."""
    from frugalseg.training.restarts import read_history

    lines = read_history(folder)
    return [line for line in lines if line.get("training") == state.get("training")]
