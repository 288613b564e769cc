"""Made-up results in the format of the result files, for tests of what reads them."""

from frugalseg.engine.results import Result
from frugalseg.tasks.segment.evaluate import RESULT

NAMES = ("background", "leaf", "symptom")
ENVIRONMENT = {
    "python": "3.11.9",
    "frugalseg": "0.1.0",
    "torch": "2.13.0",
    "numba": "0.68.1",
    "cpu": "Example CPU",
    "cores": 2,
    "threads": 2,
    "gpu": None,
    "date": "2026-01-01T00:00:00+00:00",
    "git": None,
}


def plain_result(sampler="density", points=64, seed=0, miou=0.9, names=NAMES, run=None):
    """A complete result; `miou` is the mean over all classes, 0.1 more than over targets."""
    sampled = 0 if sampler == "uniform" else 18_000_000
    segmented = round(186e6 * points * points / 64**2)
    stages = {"decode": 0.02, "thumbnail": 0.001, "sampler": sampled / 1e10, "warp": 0.001}
    stages |= {"segmenter": segmented / 2e10, "interpolation": 0.008}
    return {
        "format": 1,
        "task": "segment",
        "what": {
            "command": "frugalseg evaluate runs/example",
            "run": run or f"{sampler}-{points}-{seed}",
            "data": "coffee_leaf",
            "split": "val",
            "images": 150,
            "config_hash": "0123abcd",
            "seed": seed,
            "sampler": sampler,
            "size": [points, points],
            "segmenter": "unet",
            "encoder": "tf_efficientnet_lite0",
            "blend": 0.0 if sampler == "uniform" else 1.0,
            "steps": 600,
        },
        "environment": dict(ENVIRONMENT),
        "scores": _scores(miou, names),
        "cost": {
            "multiply_adds": {
                "sampler": sampled,
                "segmenter": segmented,
                "total": sampled + segmented,
            },
            "not_counted": "Decoding, view, warp, interpolation & element-wise work.",
            "seconds": {**stages, "total": sum(stages.values())},
            "peak_memory_bytes": 700_000_000,
        },
        "folded_cells": 0.0,
        "pixels_read": points * points + 64 * 128,
    }


def made_up_result(*arguments, **options):
    """The same as a :class:`Result`."""
    plain = plain_result(*arguments, **options)
    own = ("format", "task", "what", "environment", "scores")
    parts = {name: value for name, value in plain.items() if name not in own}
    return Result(RESULT, plain["what"], plain["environment"], plain["scores"], parts)


def _scores(miou, names):
    iou = dict.fromkeys(names, miou)
    iou[names[-1]] = miou - 0.1
    bins = ["under 16", "16 to 63", "64 to 255", "256 to 1023", "1024 to 4095", "4096 and more"]
    recall = [None, *(min(1.0, miou * (0.3 + 0.15 * i)) for i in range(5))]
    objects = {"found": [0, *(int(10 * share) for share in recall[1:])], "total": [0] + [10] * 5}
    objects["recall"] = recall
    return {
        "images": 150,
        "pixels": dict.fromkeys(names, 1_000_000),
        "iou": iou,
        "miou": {"all": miou, "target": miou - 0.1},
        "targets": [names[-1]],
        "absent": [],
        "pixel_accuracy": 0.5 + miou / 2,
        "bands": [
            {"width": width, "pixels": 1000 * width, "accuracy": miou * (0.7 + 0.02 * width)}
            for width in (1, 2, 4, 8, 16)
        ],
        "objects": {"bins": bins, "classes": {names[-1]: objects}, "all": objects},
    }
