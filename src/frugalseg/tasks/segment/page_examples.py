"""The pictures of a page that compares runs, made to fit it."""

from collections.abc import Sequence
from typing import Any

from frugalseg.reports.images import colour_labels, draw_samples, picture, shrink

# Bytes of all pictures of a page; if they are more, the pictures are made smaller.
PICTURE_BUDGET = 11_000_000


def fit_examples(examples: Sequence[dict[str, Any]], truth: str) -> list[dict[str, Any]]:
    """Pictures of examples, as large as the budget allows.

    Args:
        examples: as in :func:`frugalseg.tasks.segment.report.write_comparison`.
        truth: the caption of the true labels.

    Returns:
        Of each example "name", "pictures", and "runs" with "label" and "pictures".
    """
    side = 960
    while True:
        shown = [_example(example, side, truth) for example in examples]
        size = sum(
            len(picture["uri"])
            for example in shown
            for row in [example, *example["runs"]]
            for picture in row["pictures"]
        )
        if size <= PICTURE_BUDGET or side <= 160:
            return shown
        side = max(160, int(side * min(0.9, (PICTURE_BUDGET / size) ** 0.5)))


def _example(example: dict[str, Any], side: int, truth: str) -> dict[str, Any]:
    def labels(caption: str, indices: Any) -> dict[str, Any]:
        small = shrink(indices, side, nearest=True)
        return picture(caption, colour_labels(small, example["colours"]), "png")

    rows = []
    for run in example["runs"]:
        height, width = run["phi"].shape[:2]
        warped = picture(f"the {height}x{width} samples", run["warped"], "png")
        pictures = [
            picture("where they lie", draw_samples(example["image"], run["phi"], side)),
            {**warped, "pixels": True},
            labels("answer", run["answer"]),
        ]
        rows.append({"label": run["label"], "pictures": pictures})
    pictures = [picture("image", shrink(example["image"], side)), labels(truth, example["truth"])]
    return {"name": example["name"], "pictures": pictures, "runs": rows}
