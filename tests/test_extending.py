"""The Python of docs/extending.md, run on tiny data."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import frugalseg
from frugalseg.data import open_images
from frugalseg.data.formats import FORMATS
from frugalseg.models import SAMPLERS
from frugalseg.sampling import equal_density_sampling
from textures import write_textures

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
NAMES = {
    "Tensor": Tensor,
    "F": F,
    "SAMPLERS": SAMPLERS,
    "equal_density_sampling": equal_density_sampling,
    "frugalseg": frugalseg,
    "nn": nn,
    "np": np,
}


def block(holds: str) -> str:
    """The block of Python that holds a text."""
    (found,) = [b for b in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S) if holds in b]
    return found


def run(text: str) -> dict[str, Any]:
    """Run a block with tiny settings; the names that it leaves."""
    tiny = (
        "batch_size=4, segmenter='unet-plain', segmenter_options={'widths': [4]}, sampler_steps=1"
    )
    text = text.replace("size=(64, 64), steps=1000", f"size=(16, 32), steps=1, {tiny}")
    text = re.sub(
        r"clusters=3, steps=\d+", "clusters=3, steps=1, batch_size=4, overclusters=4", text
    )
    text = re.sub(r"classes=3, steps=\d+", "classes=3, steps=1, batch_size=4, overclasses=4", text)
    names: dict[str, Any] = dict(NAMES)
    exec(text, names)
    return names


def test_train_load_and_ask(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(scenes, tmp_path / "FOLDER")
    shutil.copy(scenes / "images/test/scene_00000.jpg", tmp_path / "IMAGE.jpg")
    monkeypatch.chdir(tmp_path)
    names = run(block("frugalseg.evaluate").replace('"IMAGE"', '"IMAGE.jpg"'))
    assert names["labels"].shape == (128, 256)
    assert 0 <= names["result"].scores["miou"]["all"] <= 1


def test_a_sampler_covers_the_image() -> None:
    sampler = run(block("class EdgeSampler").replace('add("edges"', 'add("edges-of-the-page"'))
    phi = sampler["EdgeSampler"]((8, 12))(torch.rand(2, 3, 20, 30))
    assert phi.shape == (2, 8, 12, 2)
    assert phi.min() == 0
    assert phi.max() == 1
    assert "edges-of-the-page" in SAMPLERS


def test_backbones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_textures(tmp_path, 8)
    (tmp_path / "images").rename(tmp_path / "PHOTOS")
    monkeypatch.chdir(tmp_path)
    names = run(block("dense.stride").replace('"IMAGE"', "'PHOTOS/00.png'"))
    assert names["labels"].shape == (48, 64)
    assert names["groups"].predict("PHOTOS/00.png").labels.shape == (1,)


def test_a_data_format_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FORMATS, "_entries", dict(FORMATS._entries))
    run(block("FORMATS.add"))
    images = np.zeros((4, 8, 9, 3), np.uint8)
    np.savez(tmp_path / "arrays.npz", images=images, labels=[0, 1, 1, 0])
    opened = open_images(tmp_path)
    assert (len(opened), opened.class_names) == (4, ("cat", "dog"))
