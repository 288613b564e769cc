"""From a 1024x2048 JPEG to a label file: adaptive and uniform sampling, half and full resolution.

All use the same network (U-Net on tf_efficientnet_lite0, 19 classes, random weights, which do not
change the time). At half and full resolution the image is decoded at that scale and segmented as a
whole, and its scores are enlarged bilinearly before the argmax, as is usual.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.timing import compare
from frugalseg._memory import tune_malloc
from frugalseg._torchvision import patch_torchvision
from frugalseg.data.class_lists.classes import ClassList, SegmentationClass
from frugalseg.data.images import read_image
from frugalseg.data.masks import write_labels
from frugalseg.demo.scenes import generate_scene
from frugalseg.metrics.cost import StageTimer, count_multiply_adds
from frugalseg.models.samplers import default_thumbnail
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.evaluate import multiply_adds
from frugalseg.tasks.segment.model import FrugalModel, build_model

CLASSES = 19
HEIGHT, WIDTH = 1024, 2048
ROUNDS = 9


def model(sampler: str, points: int) -> FrugalModel:
    """An untrained model of the default networks."""
    size = (points, points)
    thumbnail = default_thumbnail(size, WIDTH / HEIGHT)
    config = SegmentConfig(size=size, sampler=sampler, pretrained=False, thumbnail=thumbnail)
    return build_model(config, CLASSES).eval()


def from_points(built: FrugalModel, image: Path, out: Path, classes: ClassList) -> Any:
    """File to file through few points; returns a function that takes a timer."""

    def work(timer: StageTimer) -> None:
        prediction = built.predict(image, stage=timer)
        with timer("write"):
            write_labels(prediction.labels, out, classes)

    return work


def from_all(built: FrugalModel, reduce: int, image: Path, out: Path, classes: ClassList) -> Any:
    """File to file with the segmenter at ``1 / reduce`` of the resolution."""

    @torch.inference_mode()
    def work(timer: StageTimer) -> None:
        with timer("decode"):
            pixels = torch.from_numpy(read_image(image, reduce)).permute(2, 0, 1)[None] / 255
        with timer("segmenter"):
            geometry = torch.zeros(1, built.segmenter.extra_channels, *pixels.shape[-2:])
            scores = built.segmenter(pixels, geometry)
        with timer("interpolation"):
            if reduce > 1:
                scores = F.interpolate(scores, (HEIGHT, WIDTH), mode="bilinear")
            labels = scores.argmax(1)[0].byte().numpy()
        with timer("write"):
            write_labels(labels, out, classes)

    return work


def run() -> dict[str, Any]:
    """Time all ways in alternation, with seconds by stage and multiply-adds."""
    patch_torchvision()
    tune_malloc()
    torch.manual_seed(0)
    palette = [SegmentationClass(f"class_{i}", i, (i, 0, 0), False) for i in range(CLASSES)]
    classes = ClassList(tuple(palette))
    with tempfile.TemporaryDirectory() as folder:
        image, out = Path(folder) / "image.jpg", Path(folder) / "labels.png"
        Image.fromarray(generate_scene(0, (HEIGHT, WIDTH))[0]).save(image, quality=90)
        built = {
            "adaptive 64x64": model("density", 64),
            "adaptive 128x128": model("density", 128),
            "uniform 64x64": model("uniform", 64),
            "uniform 128x128": model("uniform", 128),
        }
        works = {name: from_points(m, image, out, classes) for name, m in built.items()}
        whole = built["uniform 64x64"]
        works["half resolution"] = from_all(whole, 2, image, out, classes)
        works["full resolution"] = from_all(whole, 1, image, out, classes)
        timers = {name: StageTimer() for name in works}
        calls: dict[str, Callable[[], Any]] = {
            name: lambda name=name: works[name](timers[name])  # type: ignore[misc]
            for name in works
        }
        ours = calls.pop("adaptive 64x64")
        row = compare("adaptive 64x64, file to file", ours, calls, ROUNDS, warm_up=1)
        row["stages"] = {name: timer.median() for name, timer in timers.items()}
        row["multiply_adds"] = {name: multiply_adds(m) for name, m in built.items()} | {
            f"{name} resolution": {"total": count_at(whole, reduce)}
            for name, reduce in (("half", 2), ("full", 1))
        }
    return {
        "question": f"seconds from a {HEIGHT}x{WIDTH} JPEG to a label PNG, {CLASSES} classes",
        "comparisons": [row],
    }


def count_at(built: FrugalModel, reduce: int) -> int:
    """Multiply-adds of the segmenter on an image of ``1 / reduce`` of the size."""
    size = (HEIGHT // reduce, WIDTH // reduce)
    return count_multiply_adds(built.segmenter, torch.rand(1, 3, *size), torch.zeros(1, 4, *size))
