"""What makes groups of digits, not of strokes: one ingredient at a time taken away."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.grid import train_and_score
from experiments.published import Numbers
from experiments.results import read_results
from frugalseg.data.image_set import ImageSet, array_set
from frugalseg.data.open_images import open_images
from frugalseg.demo.clusters_demo import demo_config
from frugalseg.engine.config import Names
from frugalseg.engine.results import Result, Value, group_seeds, spread_text
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_write
from frugalseg.registry import did_you_mean
from frugalseg.reports.tables import markdown_table
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.cluster.predict import ClusterRun, answer_images

WHOLE = "whole"
# The recipe without one of its ingredients, settings that are changed.
VARIANTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "one view": {"num_views": 1},
    "no overclustering": {"head_order": ("main",)},
    "one sub-head": {"sub_heads": 1},
    "no rotation": {"augment_options": {"rotation": 0.0}},
    "one crop": {"augment_options": {"plain_crops": (24,), "test_crop": 24, "crops": (24,)}},
    "no rotation, one crop": {
        "augment_options": {"rotation": 0.0, "plain_crops": (24,), "test_crop": 24, "crops": (24,)}
    },
    "no brightness": {"augment_options": {"brightness": 0.0, "contrast": 0.0}},
    "sorted batches": {"shuffle": False},
}


def ablation(
    *,
    out: Path = Path("results/ablation"),
    runs: Path = Path("runs/ablation"),
    seeds: Numbers = (0, 1, 2),
    variants: Names = (),
) -> str:
    """Group scikit-learn's digits with and without each ingredient; interrupted, it goes on.

    The digits lie sorted by kind, as in a folder with a sub-folder for each, so that batches in
    their order hold one kind or two.

    Args:
        out: Folder of the result files and table.md.
        runs: Folder of the runs.
        seeds: Of each variant.
        variants: Such as "one view"; by default all; may be given several times.

    Returns:
        The table of all results there.

    Raises:
        FrugalsegError: no such variant, or a result there is of other settings.
    """
    if unknown := sorted(set(variants) - set(VARIANTS)):
        close = did_you_mean(unknown[0], VARIANTS)
        raise FrugalsegError(f"No variant {unknown[0]!r}{close}: there are {', '.join(VARIANTS)}.")
    images = sorted_digits()
    for seed in seeds:
        for variant in variants or VARIANTS:
            name = f"{variant.replace(',', '').replace(' ', '-')}-{seed}"
            config = _changed(demo_config(seed), VARIANTS[variant])
            parts = partial(_measure, variant)
            train_and_score(config, out / f"{name}.json", runs, data=images, parts=parts)
    table = ablation_table(read_results(out))
    atomic_write(table.encode(), out / "table.md")
    return table


def _measure(variant: str, run: ClusterRun, images: ImageSet, split: str) -> dict[str, Any]:
    """What goes into the results of a variant beside the scores."""
    return {"ingredients": variant, "ink": ink_explained(run, images, split)}


def _changed(config: ClusterConfig, changes: Mapping[str, Any]) -> ClusterConfig:
    options = {**config.augment_options, **changes.get("augment_options", {})}
    return dataclasses.replace(config, **{**changes, "augment_options": options})


def sorted_digits() -> ImageSet:
    """The digits of scikit-learn, sorted by kind."""
    digits = open_images("digits")
    assert digits.labels is not None
    order = np.argsort(digits.labels, kind="stable")
    pixels = np.stack([digits.read(int(i)) for i in order])
    labels = digits.labels[order]
    images = array_set(digits.root, {"digits": pixels}, {"digits": labels}, digits.class_names)
    return dataclasses.replace(images, splits={})


def ink_explained(run: ClusterRun, images: ImageSet, split: str) -> float:
    """How far clusters are about the amount of ink: its share of variance explained.

    Args:
        run: a finished run on the images.
        images: its images.
        split: which of them.

    Returns:
        0 (clusters say nothing of the mean brightness of an image) to 1 (everything).
    """
    answers = answer_images(run, images, split)
    ink = np.array([images.read(int(i)).mean() for i in answers.indices])
    return explained(ink, answers.assigned)


def explained(values: NDArray[np.floating], groups: NDArray[np.int64]) -> float:
    """Share of the variance of values that lies between groups (eta squared).

    >>> explained(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    sizes = np.bincount(groups)
    means = np.bincount(groups, values) / np.maximum(sizes, 1)
    return float(((means - values.mean()) ** 2 @ sizes) / ((values - values.mean()) ** 2).sum())


_COLUMNS: tuple[tuple[str, str, Value], ...] = (
    ("accuracy", ".3f", lambda result: (result.scores or {})["accuracy"]),
    ("loss", ".3f", lambda result: min(result.parts["losses"])),
    ("ink explained", ".3f", lambda result: result.parts["ink"]),
    ("clusters used", ".0f", lambda result: result.parts["diagnostics"]["used"]),
)


def ablation_table(results: Sequence[Result]) -> str:
    """Markdown: one line a variant, mean (least to greatest) over seeds, in the order of VARIANTS.

    Args:
        results: of :func:`ablation`.
    """
    rows = []
    names = list(VARIANTS)
    groups = group_seeds(results)
    for group in sorted(groups, key=lambda group: names.index(group[0].parts["ingredients"])):
        cells = [spread_text(group, value, form) for _, form, value in _COLUMNS]
        rows.append([group[0].parts["ingredients"], str(len(group)), *cells])
    return markdown_table(["recipe", "seeds", *(name for name, _, _ in _COLUMNS)], rows, words=1)
