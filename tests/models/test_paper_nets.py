import pytest
import torch
from torch import nn

from frugalseg.models.backbone import build_backbone
from frugalseg.models.paper_nets import PlainUNet, ResNet34, SegmentationVgg


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_published_numbers_of_parameters():
    # Ji et al.'s code: 21.28 M with two input channels; 4.30 M with one, heads apart
    assert parameters(build_backbone("resnet34-iic", 2)) / 1e6 == pytest.approx(21.28, abs=0.01)
    assert parameters(build_backbone("vgg-iic", 1)) / 1e6 == pytest.approx(4.30, abs=0.01)
    assert build_backbone("vgg-iic", 1).num_features == 4608
    assert parameters(SegmentationVgg(5)) / 1e6 == pytest.approx(4.50, abs=0.01)


def test_the_published_sizes_of_maps():
    network = ResNet34(2, 4)
    for size, expected in ((96, (49, 49, 25, 13, 7)), (64, (33, 33, 17, 9, 5))):
        x = network.stem(torch.zeros(1, 2, size, size))
        sizes = [x.shape[-1]]
        for stage in network.stages:
            x = stage(x)
            sizes.append(x.shape[-1])
        assert tuple(sizes) == expected


@pytest.mark.parametrize("size", [(32, 48), (33, 35), (5, 7)])
def test_the_plain_unet_takes_any_size(size: tuple[int, int]) -> None:
    assert PlainUNet(3, (2, 4, 6), 2)(torch.rand(2, 2, *size)).shape == (2, 3, *size)
