"""The demonstration: uniform and adaptive sampling at equal cost on generated street scenes."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugalseg.errors import FrugalsegError
from frugalseg.options import Size
from frugalseg.runs import Run, SegmentConfig, find_run, load_run


@dataclass(frozen=True)
class Plan:
    """How large a demonstration is; the default takes some minutes on two cores.

    Attributes:
        scenes: how many to generate for train, val and test.
        scene_size: their height and width.
        uniform: points of the uniform run.
        adaptive: points of the adaptive run: as many as make sampler and segmenter together cost
            what the segmenter of the uniform run costs alone.
        steps, sampler_steps: of training.
        shown: how many test scenes the page shows.
    """

    scenes: tuple[int, int, int] = (96, 12, 24)
    scene_size: Size = (512, 1024)
    uniform: Size = (32, 64)
    adaptive: Size = (30, 58)
    steps: int = 400
    sampler_steps: int = 350
    shown: int = 4

    def configs(self, out: Path, seed: int) -> dict[str, SegmentConfig]:
        """The two runs, by the names of their folders."""
        both: dict[str, Any] = {
            "data": str(out / "scenes"),
            "steps": self.steps,
            "sampler_steps": self.sampler_steps,
            "seed": seed,
        }
        return {
            "uniform": SegmentConfig(size=self.uniform, sampler="uniform", **both),
            "adaptive": SegmentConfig(size=self.adaptive, sampler="density", **both),
        }


def run_demo(out: Path, seed: int = 0, plan: Plan | None = None) -> list[dict[str, Any]]:
    """Generate scenes, train both runs, score them on test scenes, print a table, write a page.

    What an interrupted demonstration has done is not done again.

    Args:
        out: folder for ``scenes``, the runs ``uniform`` and ``adaptive``, and ``comparison.html``.
        seed: of scenes and trainings.
        plan: how large.

    Returns:
        The two results, uniform first.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    from frugalseg.evaluation.results import markdown_table
    from frugalseg.reports.compare import label_results, write_comparison
    from frugalseg.reports.examples import predict_examples
    from frugalseg.training.segment import open_data, train_segmentation

    plan = plan or Plan()
    configs = plan.configs(out, seed)
    _prepare(out, seed, plan, configs)
    runs, results = [], []
    for name, config in configs.items():
        _say(f"{name}: {config.sampler} sampling of {config.size[0]}x{config.size[1]} points")
        train_segmentation(config, out / name, sys.stderr.isatty(), lambda text: _say("  " + text))
        runs.append(load_run(out / name))
        results.append(_result(runs[-1]))
    page = out / "comparison.html"
    data = open_data(configs["uniform"])
    labels = label_results(results)
    examples = predict_examples(runs, labels, data.splits["test"], plan.shown, data.classes)
    write_comparison(results, examples, page)
    print(markdown_table(results), end="")
    print(_summary(results, page))
    return results


def _prepare(out: Path, seed: int, plan: Plan, configs: dict[str, SegmentConfig]) -> None:
    """Generate the scenes, unless trainings on them have begun."""
    from frugalseg.data.scenes import write_scenes

    try:
        begun = [find_run(out / name, config) is not None for name, config in configs.items()]
    except FrugalsegError as error:
        raise FrugalsegError(
            f"{out} cannot hold this demonstration: name another folder with --out. ({error})"
        ) from error
    if any(begun):
        return
    height, width = plan.scene_size
    _say(f"Generating {sum(plan.scenes)} street scenes of {height}x{width} pixels")
    write_scenes(out / "scenes", *plan.scenes, plan.scene_size, seed)


def _result(run: Run) -> dict[str, Any]:
    """Scores and cost on the test scenes, from its file where there is one."""
    from frugalseg.evaluation.evaluate import evaluate_run
    from frugalseg.evaluation.results import read_result, write_result
    from frugalseg.training.segment import open_data

    path = run.folder / "results" / "scenes-test.json"
    if not path.exists():
        _say("  Scoring it on the test scenes")
        write_result(evaluate_run(run, open_data(run.config), "test"), path)
    return read_result(path)


def _summary(results: list[dict[str, Any]], page: Path) -> str:
    uniform, adaptive = (result["scores"]["miou"] for result in results)
    costs = [result["cost"]["multiply_adds"]["total"] for result in results]
    names = ", ".join(results[0]["scores"]["targets"])
    return (
        f"\nAt {costs[1] / costs[0]:.1%} of the multiply-adds, adaptive sampling scores "
        f"{100 * (adaptive['target'] - uniform['target']):+.1f} points of mIoU on the targets "
        f"({names}) and {100 * (adaptive['all'] - uniform['all']):+.1f} on all classes.\n"
        f"Open {page} in a browser: the points crowd where things meet, so distant cars, people "
        "and signs\nfill more of the small image that the segmenter sees; compare its answers "
        "with the truth, and the recall of small objects."
    )


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
