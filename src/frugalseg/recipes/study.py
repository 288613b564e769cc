"""Samplers side by side: the same data, steps and augmentation, several points and seeds."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from frugalseg.evaluation.evaluate import evaluate_run, samples_to_score
from frugalseg.evaluation.results import markdown_table_over_seeds, read_result, write_result
from frugalseg.files import write_whole
from frugalseg.options import Size
from frugalseg.runs import SegmentConfig, load_run
from frugalseg.training.segment import open_data, train_segmentation


def run_study(
    config: SegmentConfig,
    samplers: Sequence[str],
    sizes: Sequence[Size],
    seeds: Sequence[int],
    split: str,
    out: Path,
    runs: Path,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """Train and evaluate every combination; what is there already is not done again.

    Args:
        config: settings that all share; sampler, size and seed are replaced.
        samplers: names of samplers.
        sizes: numbers of samples.
        seeds: seeds.
        split: the split to report on.
        out: folder of the result files, one a run, and ``table.md`` of all that lie there.
        runs: folder of the runs themselves.
        say: is told, in words, what begins.

    Returns:
        The table, means over seeds.

    Raises:
        FrugalsegError: the split has no images with masks, or what training raises.
    """
    dataset = open_data(config)
    samples_to_score(dataset, split)
    table = ""
    for seed in seeds:  # whole rounds, so that an interrupted study compares like with like
        for size in sizes:
            for sampler in samplers:
                name = f"{sampler}-{size[0]}x{size[1]}-{seed}"
                path = out / f"{name}.json"
                if not path.exists():
                    say(f"== {name}")
                    one = dataclasses.replace(config, sampler=sampler, size=size, seed=seed)
                    train_segmentation(one, runs / name, say=say)
                    write_result(evaluate_run(load_run(runs / name), dataset, split), path)
                table = _table(out)
                write_whole(table.encode(), out / "table.md")
    return table


def _table(folder: Path) -> str:
    """All results of a folder, the cheaper first."""
    results = [read_result(path) for path in sorted(folder.glob("*.json"))]
    results.sort(key=lambda r: (r["what"]["size"], r["what"]["sampler"] != "uniform"))
    return markdown_table_over_seeds(results)
