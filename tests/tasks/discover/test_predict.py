from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.layouts.samples import Sample
from frugalseg.engine.run_dir import RunDir
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.discover import predict as discover_answers
from frugalseg.tasks.discover.config import DiscoverConfig
from frugalseg.tasks.discover.data import resolve
from frugalseg.tasks.discover.predict import (
    DiscoverRun,
    discover_labels,
    labels_from_soft,
    soft_regions,
    tiles,
)
from frugalseg.tasks.iic.model import build_net
from textures import texture


def untrained(side: int = 0, width: int = 2, seed: int = 0) -> DiscoverRun:
    """A run whose network is as it was built, of clear answers."""
    samples = tuple(Sample(str(i), Path(f"zeros/{i}.png"), None) for i in range(4))
    sizes = {sample.image: (64, 64) for sample in samples}
    data = ImageMaskFolder(Path("zeros"), {"all": samples}, sizes=sizes)
    config = DiscoverConfig(data="zeros", backbone="vgg-seg", width=width, side=side, sub_heads=2)
    resolved = resolve(config, data)
    torch.manual_seed(seed)
    net = build_net(resolved, 3).eval()
    torch.nn.init.normal_(net.main.weight, 0, 1.0)
    state = {"clusters": 3, "sub_head": 1, "overcluster_sub_head": 0}
    return DiscoverRun(RunDir("run"), config, resolved, state, net)


def test_tiles_cover_an_image_once() -> None:
    seen = np.zeros((300, 170), int)
    for outer, inner in tiles((300, 170), 8, tile=96, margin=20):
        seen[inner] += 1
        assert outer[0].start % 8 == outer[1].start % 8 == 0
        assert all(o.stop - o.start <= 160 for o in outer)
    assert (seen == 1).all()


def test_tiles_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    run = untrained()
    image, _ = texture(3, (151, 210))
    whole = soft_regions(run, image)
    assert whole.shape == (3, 76, 105)
    monkeypatch.setattr(discover_answers, "TILE", 100)
    monkeypatch.setattr(discover_answers, "MARGIN", 32)
    in_tiles = soft_regions(run, image)
    # its field of view is 30 pixels, less than the margin: nothing is lost at all
    torch.testing.assert_close(in_tiles, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [0, 40])
def test_labels_are_the_greatest_of_enlarged_answers(
    side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = untrained(side)
    image, _ = texture(5, (64, 96))
    soft = soft_regions(run, image)
    size = (40, 60) if side else (64, 96)
    assert soft.shape == (3, size[0] // 2, size[1] // 2)
    large = F.interpolate(soft[None], (64, 96), mode="bilinear")[0]
    labels = labels_from_soft(run, soft, (64, 96))
    assert float((torch.from_numpy(labels) == large.argmax(0)).float().mean()) > 0.999
    monkeypatch.setattr(discover_answers, "STRIP", 1000)
    np.testing.assert_array_equal(labels_from_soft(run, soft, (64, 96)), labels)
    np.testing.assert_array_equal(discover_labels(run, image), labels)


def test_images_that_do_not_fit() -> None:
    with pytest.raises(FrugalsegError, match="uint8"):
        discover_labels(untrained(), np.zeros((20, 20, 4), np.uint8))
    with pytest.raises(FrugalsegError, match="no such file"):
        discover_labels(untrained(), Path("nowhere.png"))
