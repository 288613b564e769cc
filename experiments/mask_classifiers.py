"""Few masks: what finetune answers on a discovery, beside naming its regions and a plain probe.

All learn from the same random masks of one split and are scored on the same images of another.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.published import Numbers
from frugalseg.console import log, track
from frugalseg.engine.environment import command_line, environment
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_json
from frugalseg.metrics.clustering import mean_and_spread
from frugalseg.metrics.confusion import confusion
from frugalseg.tasks.discover.data import open_data
from frugalseg.tasks.discover.evaluate import name_by_most, named_scores
from frugalseg.tasks.discover.predict import DiscoverRun, finer_labels, labels_from_soft
from frugalseg.tasks.finetune.net import probe_net
from frugalseg.tasks.finetune.places import place_inputs
from frugalseg.tasks.finetune.probe import Classifier, learn
from frugalseg.tasks.finetune.train_places import draw_places, labels_of_places

NUMBERS = (1, 2, 5, 10)
METHODS = ("naming", "probe", "finetune")
SCORES = ("accuracy", "miou")


def mask_classifiers(
    run: Path,
    /,
    *,
    out: Path,
    fit: str = "train",
    score: str = "val",
    every: int = 1,
    draws: int = 3,
    points: int = 0,
    numbers: Numbers = NUMBERS,
) -> dict[str, Any]:
    """Scores of three ways to answer from few masks, on a discovery that knows its masks.

    Args:
        run: Folder of the discovery.
        out: The result file, JSON.
        fit: Split whose masks may be learned from.
        score: Split that is scored.
        every: Every so many images of that split are scored.
        draws: Random choices of masks, for each number.
        points: So many random labelled pixels of each class in each mask, in place of the whole
            mask; 0 for whole masks.
        numbers: Of masks.
    """
    discovery = DiscoverRun.load(run)
    data = open_data(replace(discovery.config, masks=discovery.config.masks or "folder"))
    names = data.classes.names
    pool = np.array([i for i in data.indices(fit) if data.samples[i].mask is not None])
    if max(numbers) > len(pool):
        raise FrugalsegError(f"{fit} has {len(pool)} masks: give smaller --numbers.")
    net = probe_net(discovery, len(names))
    seen: dict[int, Any] = {}
    learned: list[tuple[int, int, str, NDArray[Any] | Classifier, str]] = []
    for number in numbers:
        for draw in range(draws):
            rng = np.random.default_rng((draw, number))
            chosen = rng.permutation(pool)[:number]
            masks = {int(i): _sparse(data.truth(int(i)), points, rng) for i in chosen}
            places = labels_of_places(discovery, data, masks)
            drawn = draw_places(places, draw)
            for i in set(masks) - set(seen):
                seen[i] = place_inputs(discovery, net, data.read(i))
            features, soft = (
                np.concatenate([seen[i][part][p] for i, p in zip(masks, drawn, strict=True)])
                for part in (0, 1)
            )
            truth = np.concatenate([x[p] for x, p in zip(places, drawn, strict=True)])
            images = np.repeat(np.arange(number), [len(p[0]) for p in drawn])
            counts = np.zeros((soft.shape[1], len(names)), np.int64)
            for i, mask in masks.items():
                counts += confusion(finer_labels(discovery, data.read(i)), mask, *counts.shape)
            learned.append((number, draw, "naming", name_by_most(counts), "naming"))
            for row, method in (("probe", "probe"), ("finetune", "auto")):
                items = (features, soft, truth.astype(np.int64), images, len(names))
                classifier, used, _ = learn(*items, method, seed=draw)
                learned.append((number, draw, row, classifier, used))
            log.info(f"{number} masks, draw {draw}: {len(truth)} places, {used}")
    tables = [np.zeros((len(names), len(names)), np.int64) for _ in learned]
    scored = data.indices(score)[::every]
    for i in track(scored.tolist(), "images"):
        pixels, truth = data.read(i), data.truth(i)
        features, soft = place_inputs(discovery, net, pixels)
        size = (pixels.shape[0], pixels.shape[1])
        regions = finer_labels(discovery, pixels)
        for table, (_, _, _, model, _) in zip(tables, learned, strict=True):
            if isinstance(model, Classifier):
                answers = model.probabilities(
                    features.reshape(-1, features.shape[-1]), soft.reshape(-1, soft.shape[-1])
                ).reshape(*soft.shape[:2], -1)
                labels = labels_from_soft(discovery, _tensor(answers), size)
            else:
                labels = model[regions].astype(np.uint8)
            table += confusion(labels, truth, *table.shape)
    found = [named_scores(table, np.arange(len(names)), names) for table in tables]
    rows = []
    for number in numbers:
        row: dict[str, Any] = {"masks": number}
        for method in METHODS:
            own = [k for k, one in enumerate(learned) if one[0] == number and one[2] == method]
            row[method] = {s: mean_and_spread([found[k][s] for k in own]) for s in SCORES}
        row["chosen"] = [one[4] for one in learned if one[0] == number and one[2] == "finetune"]
        rows.append(row)
        log.info(
            f"{number} masks: "
            + ", ".join(
                f"{m} {row[m]['accuracy']['mean']:.3f}/{row[m]['miou']['mean']:.3f}"
                for m in METHODS
            )
        )
    result = {
        "command": command_line(),
        "environment": environment(),
        "run": discovery.dir.name,
        "data": data.name,
        "classes": list(names),
        "fit": fit,
        "score": score,
        "images": len(scored),
        "points": points,
        "discovery": discovery.asked.variant(),
        "rows": rows,
    }
    write_json(result, out)
    return result


def _sparse(
    mask: NDArray[np.uint8] | None, points: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A mask in which only so many random pixels of each class are kept; 0 keeps all."""
    assert mask is not None
    if not points:
        return mask
    kept = np.full_like(mask, 255)
    for label in np.unique(mask[mask != 255]):
        places = np.flatnonzero(mask == label)
        kept.ravel()[rng.permutation(places)[:points]] = label
    return kept


def _tensor(answers: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(answers.transpose(2, 0, 1)))
