"""A page that compares fine-tuned runs: their scores, and the same images segmented by each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.results import Result, group_seeds, mean_and_range
from frugalseg.files import write_text
from frugalseg.reports.html import render
from frugalseg.reports.images import overlay, picture, shrink
from frugalseg.reports.tables import spread_cell
from frugalseg.tasks.finetune.model import FinetuneRun
from frugalseg.tasks.finetune.places import PlaceRun

SIDE = 360  # pixels of the longer side of images on the page


def write_comparison(
    runs: Sequence[FinetuneRun | PlaceRun],
    results: Sequence[Result],
    data: ImageMaskFolder | None,
    path: Path,
    images: int,
) -> None:
    """Write the page.

    Args:
        runs: finished runs on the same data.
        results: one of each.
        data: images to show, for runs that segment them.
        path: HTML file; it needs no other file and no network.
        images: how many to show.

    Raises:
        FrugalsegError: an image cannot be read, or the file cannot be written.
    """
    sets = dict.fromkeys(f"{r.what['data']}, {r.what['split']}" for r in results)
    columns = results[0].kind.columns
    page = render(
        "compare_classifiers.html",
        title=f"Fine-tuned runs on {' and '.join(sets)}",
        columns=[name for name, _, _ in columns],
        rows=[
            {
                "name": ", ".join(result.run for result in group),
                "method": group[0].what.get("method", "network"),
                "learned": group[0].what["learned"],
                "cells": [spread_cell(mean_and_range(group, v), form) for _, form, v in columns],
            }
            for group in group_seeds(results)
        ],
        examples=[] if data is None else _examples(runs, data, images),
        results=results,
    )
    write_text(page, path)


def _examples(
    runs: Sequence[FinetuneRun | PlaceRun], data: ImageMaskFolder, images: int
) -> list[dict[str, Any]]:
    """Images spread over the set, with the answers of the runs that segment them."""
    examples = []
    chosen = np.linspace(0, len(data) - 1, min(max(images, 0), len(data))).round().astype(int)
    for i in chosen.tolist():
        image = shrink(np.ascontiguousarray(data.read(i)[..., :3]), SIDE)
        pictures = [picture("image", image)]
        for run in runs:
            if isinstance(run, PlaceRun):
                labels = run.predict(data.samples[i].image).labels
                small = shrink(labels, SIDE, nearest=True)
                colours = np.array(run.classes.colours, np.uint8)
                pictures.append(picture(run.dir.name, overlay(image, small, colours)))
        examples.append({"name": data.names[i], "pictures": pictures})
    return examples
