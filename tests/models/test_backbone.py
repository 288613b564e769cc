import pytest
import torch
from torch import nn

from frugalseg.errors import FrugalsegError
from frugalseg.models import BACKBONES
from frugalseg.models.backbone import (
    Backbone,
    build_backbone,
    check_backbone,
    list_backbones,
    settle_batch_norm,
    third_stage,
)
from frugalseg.models.encoder_decoder import ARCHITECTURES


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("size", [(24, 24), (33, 40)])
def test_every_backbone_of_the_registry(name: str, size: tuple[int, int]) -> None:
    maps = name in list_backbones(maps=True)
    assert maps != (name in list_backbones(maps=False))
    backbone = build_backbone(name, 1, width=4, maps=maps)
    assert bool(backbone.stride) == maps
    expected = [3, backbone.num_features]
    if maps:
        expected += [-(-side // backbone.stride) for side in size]
    assert list(backbone(torch.rand(3, 1, *size)).shape) == expected
    check_backbone(backbone, 1, 24)
    gives = "one vector an image" if maps else "maps of features"
    with pytest.raises(FrugalsegError, match=f"not {gives}"):
        build_backbone(name, 1, width=4, maps=not maps)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("channels", [3, 5])
def test_every_encoder_with_a_decoder_gives_maps(name: str, channels: int) -> None:
    backbone = build_backbone(f"{name}:resnet10t", channels, maps=True).eval()
    with torch.inference_mode():
        features = backbone(torch.rand(1, channels, 50, 70))
    height, width = (-(-side // backbone.stride) for side in (50, 70))
    assert features.shape == (1, backbone.num_features, height, width)
    assert features.std() > 0


def test_at_24_pixels_nothing_is_averaged():
    backbone = build_backbone("vgg-iic", 1, width=2).eval()
    images = torch.rand(2, 1, 24, 24)
    maps = backbone.network.layers[:-2](images)
    assert maps.shape[-2:] == (3, 3)
    torch.testing.assert_close(backbone(images), maps.flatten(1))


def test_timm_models_and_modules():
    backbone = build_backbone("resnet10t", 2)
    assert backbone(torch.rand(2, 2, 32, 32)).shape == (2, backbone.num_features)
    own = nn.Conv2d(1, 7, 3)
    own.num_features = 7
    features = build_backbone(own)(torch.ones(2, 1, 8, 8))
    torch.testing.assert_close(features, own(torch.ones(2, 1, 8, 8)).mean((2, 3)))
    for wrong, text in ((nn.Linear(2, 2), "num_features"), ("resnet34-iik", "resnet34-iic")):
        with pytest.raises(FrugalsegError, match=text):
            build_backbone(wrong)
    with pytest.raises(FrugalsegError, match="has no pretrained weights"):
        build_backbone("vgg-iic", pretrained=True)


def test_pretrained_weights_come_offline():
    backbone = build_backbone("tf_efficientnet_lite0", pretrained=True).eval()
    assert backbone.num_features == 1280
    assert backbone.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    with torch.no_grad():
        features = backbone(torch.rand(2, 3, 64, 64))
    assert features.shape == (2, 1280)
    with pytest.raises(FrugalsegError, match="2 channels"):
        build_backbone("tf_efficientnet_lite0", 2, pretrained=True)


def test_batch_norm_settles_on_given_images():
    backbone = build_backbone("vgg-iic", 1, 2)
    images = torch.rand(40, 1, 24, 24)
    settle_batch_norm(backbone, images.split(20))
    assert backbone.training
    first = backbone.network.layers[0]
    maps = first[0](images)
    torch.testing.assert_close(first[1].running_mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert first[1].momentum == 0.1
    backbone.eval()
    whole, alone = backbone(images), backbone(images[:1])
    torch.testing.assert_close(whole[:1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "stride"),
    [
        ("tf_efficientnet_lite0", {"strides": (8, 16, 32)}, 8),
        ("resnet10t", {"strides": (4, 16)}, 4),
        ("unet:resnet10t", {}, 1),
        ("fpn", {}, 4),
        ("vit_tiny_patch16_224", {"strides": (16,)}, 16),
        ("swin_tiny_patch4_window7_224", {"strides": (8, 16)}, 8),
    ],
)
def test_backbones_by_name(name: str, options: dict[str, object], stride: int) -> None:
    backbone = build_backbone(name, maps=True, **options).eval()  # type: ignore[arg-type]
    assert backbone.stride == stride
    with torch.inference_mode():
        features = backbone(torch.rand(1, 3, 50, 70))
    assert features.shape == (1, backbone.num_features, -(-50 // stride), -(-70 // stride))


def test_of_several_maps_of_one_stride_the_last_is_taken() -> None:
    backbone = build_backbone("vit_tiny_patch16_224", maps=True, strides=(16,)).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        every = backbone.network.encoder((images - backbone.mean) / backbone.std)  # type: ignore[union-attr,operator]
        torch.testing.assert_close(backbone(images), every[-1])
    assert not torch.equal(every[0], every[-1])


def test_a_network_of_the_users_own() -> None:
    class Own(nn.Conv2d):
        num_features, stride_ = 4, 2

    own = Own(3, 4, 2, 2)
    with pytest.raises(FrugalsegError, match="num_features and stride"):
        build_backbone(own, maps=True)
    wrapped = nn.Sequential(own)
    wrapped.num_features, wrapped.stride = 4, 2  # type: ignore[assignment]
    assert build_backbone(wrapped, maps=True)(torch.rand(1, 3, 7, 8)).shape == (1, 4, 4, 4)


def test_a_backbone_handed_in_gives_what_is_wanted() -> None:
    maps = build_backbone("vgg-seg", 3, 2, maps=True)
    assert build_backbone(maps, maps=True) is maps
    with pytest.raises(FrugalsegError, match="handed in gives maps of features, not one vector"):
        build_backbone(maps)
    vectors = Backbone(nn.Flatten(), 12)
    assert build_backbone(vectors) is vectors
    with pytest.raises(FrugalsegError, match="how far apart"):
        build_backbone(vectors, maps=True)


def test_a_backbone_that_breaks_its_promise_is_named() -> None:
    with pytest.raises(FrugalsegError, match=r"gives \(2, 12\).*not \(2, 7\), as its num_features"):
        check_backbone(Backbone(nn.Flatten(), 7), 3, 2)
    with pytest.raises(FrugalsegError, match="as its num_features and stride say"):
        check_backbone(Backbone(nn.Conv2d(3, 4, 1), 4, 2), 3, 8)
    with pytest.raises(FrugalsegError, match=r"does not take images \(2, 3, 8, 8\)"):
        check_backbone(Backbone(nn.Conv2d(2, 4, 1), 4, 1), 3, 8)


def test_the_third_stage_shares_its_layers() -> None:
    backbone = build_backbone("resnet34-iic", 2, 4)
    third = third_stage(backbone, 2, 32)
    assert third(torch.rand(2, 2, 32, 32)).shape == (2, third.num_features)
    assert third.network[0] is backbone.network.stem  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("vgg-sag", {}, "did you mean 'vgg-seg'"),
        ("vgg-seg", {"pretrained": True}, "no pretrained weights"),
        ("vgg-seg", {"width": 0}, "width 0"),
        ("tf_efficientnet_lite0", {"strides": (3,)}, "no maps of stride 3"),
        ("vit_tiny_patch16_224", {}, "no maps of stride 8: there are those of 16"),
        ("tf_efficientnet_lite0", {"channels": 5, "pretrained": True}, "colour images"),
    ],
)
def test_backbones_that_cannot_be_had(name: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(FrugalsegError, match=says):
        build_backbone(name, maps=True, **options)  # type: ignore[arg-type]
