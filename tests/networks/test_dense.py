import pytest
import torch
from torch import nn

from frugalseg.errors import FrugalsegError
from frugalseg.networks.dense import SegmentationVgg, build_dense_trunk
from frugalseg.networks.dense_heads import DenseSubHeads, DiscoverNet


def test_the_published_network() -> None:
    network = SegmentationVgg(5, 64, published_borders=True)
    count = sum(p.numel() for p in network.parameters())
    assert round(count / 1e6, 2) == 4.50  # Ji et al. 2019, their code
    trunk = build_dense_trunk("vgg-seg", 5, 64, published_borders=True).eval()
    with torch.inference_mode():
        assert trunk(torch.rand(1, 5, 128, 128)).shape == (1, 512, 60, 60)
        answers = DiscoverNet(trunk, 3, 15, 1, ring=True).eval()(torch.rand(1, 5, 128, 128))
    assert answers.shape == (1, 1, 3, 62, 62)
    torch.testing.assert_close(answers[..., 0, :], torch.full_like(answers[..., 0, :], 1 / 3))
    assert not torch.allclose(answers[..., 1, 1:-1], torch.full_like(answers[..., 1, 1:-1], 1 / 3))


@pytest.mark.parametrize("size", [(32, 32), (31, 45)])
def test_mended_borders_keep_the_size(size: tuple[int, int]) -> None:
    trunk = build_dense_trunk("vgg-seg", 3, 2).eval()
    net = DiscoverNet(trunk, 3, 6, 2).eval()
    with torch.inference_mode():
        answers = net(torch.rand(2, 3, *size), "over")
        assert answers.shape == (2, 2, 6, -(-size[0] // 2), -(-size[1] // 2))
        whole = net.enlarge(answers, size)
    assert whole.shape == (2, 2, 6, *size)
    torch.testing.assert_close(whole.sum(2), torch.ones(2, 2, *size))


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
def test_trunks_by_name(name: str, options: dict[str, object], stride: int) -> None:
    trunk = build_dense_trunk(name, **options).eval()  # type: ignore[arg-type]
    assert trunk.stride == stride
    with torch.inference_mode():
        features = trunk(torch.rand(1, 3, 50, 70))
    assert features.shape == (1, trunk.num_features, -(-50 // stride), -(-70 // stride))


def test_of_several_maps_of_one_stride_the_last_is_taken() -> None:
    trunk = build_dense_trunk("vit_tiny_patch16_224", strides=(16,)).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        every = trunk.network.encoder.encoder((images - trunk.mean) / trunk.std)  # type: ignore[union-attr,operator]
        torch.testing.assert_close(trunk(images), every[-1])
    assert not torch.equal(every[0], every[-1])


def test_a_network_of_the_users_own() -> None:
    class Own(nn.Conv2d):
        num_features, stride_ = 4, 2

    own = Own(3, 4, 2, 2)
    with pytest.raises(FrugalsegError, match="num_features and stride"):
        build_dense_trunk(own)
    wrapped = nn.Sequential(own)
    wrapped.num_features, wrapped.stride = 4, 2  # type: ignore[assignment]
    assert build_dense_trunk(wrapped)(torch.rand(1, 3, 7, 8)).shape == (1, 4, 4, 4)


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
def test_trunks_that_cannot_be_had(name: str, options: dict[str, object], says: str) -> None:
    with pytest.raises(FrugalsegError, match=says):
        build_dense_trunk(name, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("hidden", [0, 3])
def test_sub_heads_do_not_see_each_other(hidden: int) -> None:
    heads = DenseSubHeads(4, 3, 2, hidden)
    features = torch.rand(2, 4, 5, 5)
    answers = heads(features)
    assert answers.shape == (2, 2, 3, 5, 5)
    answers[0].max().backward()
    gradient = heads.outer.weight.grad
    assert gradient is not None
    assert gradient[:3].abs().sum() > 0
    assert gradient[3:].abs().sum() == 0


def test_reduced_features_are_those_of_their_places() -> None:
    trunk = build_dense_trunk("vgg-seg", 3, 2).eval()
    net = DiscoverNet(trunk, 2, 4, 1, components=5)
    net.directions = torch.linalg.qr(torch.randn(16, 5))[0]
    features = torch.rand(2, 16, 3, 4)
    reduced = net.reduce(features)
    assert reduced.shape == (2, 5, 3, 4)
    one = features[1, :, 2, 3] @ net.directions
    torch.testing.assert_close(reduced[1, :, 2, 3], one / one.norm() * 5**0.5)
