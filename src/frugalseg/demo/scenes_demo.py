"""The demonstration: uniform and adaptive sampling at equal cost on generated street scenes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugalseg.console import log
from frugalseg.demo.scenes import write_scenes
from frugalseg.engine.config import Size
from frugalseg.engine.results import Result, results_table
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import base
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.report import compare_runs


@dataclass(frozen=True)
class DemoSize:
    """The size of a demonstration; the default takes some minutes on two cores.

    Attributes:
        scenes: number of scenes for train, val and test.
        scene_size: their height and width.
        uniform: points of the uniform run.
        adaptive: points of the adaptive run: as many as make sampler and segmenter together cost
            what the segmenter of the uniform run costs alone.
        steps, sampler_steps: of training.
        shown: number of test scenes on the page.
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


def run_demo(out: Path, seed: int = 0, size: DemoSize | None = None) -> list[Result]:
    """Generate scenes, train both runs, score them on test scenes, print a table, write a page.

    An interrupted demonstration goes on where it stopped.

    Args:
        out: folder for ``scenes``, the runs ``uniform`` and ``adaptive``, and ``comparison.html``.
        seed: of scenes and trainings.
        size: the size of the demonstration.

    Returns:
        The two results, uniform first.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    size = size or DemoSize()
    configs = size.configs(out, seed)
    _prepare(out, seed, size, configs)
    runs, results = [], []
    for name, config in configs.items():
        points = "x".join(map(str, config.size))
        log.info(f"{name}: {config.sampler} sampling of {points} points")
        task, _, data = base.train_only(config, out / name)
        runs.append(task.load(out / name, None))
        results.append(base.own_result(task, runs[-1], "test", data))
    page = out / "comparison.html"
    compare_runs(runs, results, data.splits["test"], size.shown, data.classes, page)
    print(results_table(results, over_seeds=False), end="")
    print(_summary(results, page))
    return results


def _prepare(out: Path, seed: int, size: DemoSize, configs: dict[str, SegmentConfig]) -> None:
    """Generate the scenes, unless trainings on them have begun."""
    try:
        begun = [RunDir(out / name, config).find() is not None for name, config in configs.items()]
    except FrugalsegError as error:
        raise FrugalsegError(
            f"{out} cannot hold this demonstration: name another folder with --out. ({error})"
        ) from error
    if any(begun):
        return
    height, width = size.scene_size
    log.info(f"Generating {sum(size.scenes)} street scenes of {height}x{width} pixels")
    write_scenes(out / "scenes", *size.scenes, size.scene_size, seed)


def _summary(results: list[Result], page: Path) -> str:
    uniform, adaptive = ((result.scores or {})["miou"] for result in results)
    costs = [result.parts["cost"]["multiply_adds"]["total"] for result in results]
    names = ", ".join((results[0].scores or {})["targets"])
    return (
        f"\nAt {costs[1] / costs[0]:.1%} of the multiply-adds, adaptive sampling scores "
        f"{100 * (adaptive['target'] - uniform['target']):+.1f} points of mIoU on the targets "
        f"({names}) and {100 * (adaptive['all'] - uniform['all']):+.1f} on all classes.\n"
        f"Open {page} in a browser: the points crowd where things meet, so distant cars, people "
        "and signs\nfill more of the small image that the segmenter sees; compare its answers "
        "with the truth, and the recall of small objects."
    )
