import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import nn

from frugalseg.errors import FrugalsegError
from frugalseg.networks.heads import (
    ClusterNet,
    SubHeads,
    SupervisedNet,
    principal_directions,
    project,
)
from frugalseg.networks.trunks import TRUNKS, ResNet34, Trunk, build_trunk, settle_batch_norm


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_the_published_numbers_of_parameters():
    # Ji et al.'s code: 21.28 M with two input channels; 4.30 M with one, heads apart
    assert parameters(build_trunk("resnet34-iic", 2)) / 1e6 == pytest.approx(21.28, abs=0.01)
    assert parameters(build_trunk("vgg-iic", 1)) / 1e6 == pytest.approx(4.30, abs=0.01)
    assert build_trunk("vgg-iic", 1).num_features == 4608


def test_the_published_sizes_of_maps():
    network = ResNet34(2, 4)
    for size, expected in ((96, (49, 49, 25, 13, 7)), (64, (33, 33, 17, 9, 5))):
        x = network.stem(torch.zeros(1, 2, size, size))
        sizes = [x.shape[-1]]
        for stage in network.stages:
            x = stage(x)
            sizes.append(x.shape[-1])
        assert tuple(sizes) == expected


@pytest.mark.parametrize("name", sorted(TRUNKS))
@pytest.mark.parametrize("size", [16, 24, 33])
def test_any_size(name, size):
    trunk = build_trunk(name, 1, width=4)
    assert trunk(torch.rand(3, 1, size, size)).shape == (3, trunk.num_features)


def test_at_24_pixels_nothing_is_averaged():
    trunk = build_trunk("vgg-iic", 1, width=2).eval()
    images = torch.rand(2, 1, 24, 24)
    maps = trunk.network.layers[:-2](images)
    assert maps.shape[-2:] == (3, 3)
    torch.testing.assert_close(trunk(images), maps.flatten(1))


def test_timm_models_and_modules():
    trunk = build_trunk("resnet10t", 2)
    assert trunk(torch.rand(2, 2, 32, 32)).shape == (2, trunk.num_features)
    own = nn.Conv2d(1, 7, 3)
    own.num_features = 7
    features = build_trunk(own)(torch.ones(2, 1, 8, 8))
    torch.testing.assert_close(features, own(torch.ones(2, 1, 8, 8)).mean((2, 3)))
    for wrong, text in ((nn.Linear(2, 2), "num_features"), ("resnet34-iik", "resnet34-iic")):
        with pytest.raises(FrugalsegError, match=text):
            build_trunk(wrong)
    with pytest.raises(FrugalsegError, match="has no pretrained weights"):
        build_trunk("vgg-iic", pretrained=True)


def test_pretrained_weights_come_offline():
    trunk = build_trunk("tf_efficientnet_lite0", pretrained=True).eval()
    assert trunk.num_features == 1280
    assert trunk.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    with torch.no_grad():
        features = trunk(torch.rand(2, 3, 64, 64))
    assert features.shape == (2, 1280)
    with pytest.raises(FrugalsegError, match="2 channels"):
        build_trunk("tf_efficientnet_lite0", 2, pretrained=True)


@pytest.mark.parametrize("hidden", [0, 6])
def test_sub_heads_equal_single_heads(hidden):
    heads = SubHeads(5, 3, 4, hidden)
    nn.init.normal_(heads.bias)
    features = torch.randn(7, 5)
    answers = heads(features)
    assert answers.shape == (4, 7, 3)
    for s in range(4):
        x = features
        if hidden:
            rows = slice(s * hidden, (s + 1) * hidden)
            x = (x @ heads.hidden.weight[rows].T + heads.hidden.bias[rows]).relu()
        expected = (x @ heads.weight[s] + heads.bias[s]).softmax(-1)
        torch.testing.assert_close(answers[s], expected)


def test_linear_sub_heads_begin_as_published():
    heads = SubHeads(500, 50, 5)
    assert heads.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not heads.bias.any()


def test_cluster_net_has_two_heads():
    net = ClusterNet(build_trunk("vgg-iic", 1, 2), 3, 8, 2)
    images = torch.rand(4, 1, 24, 24)
    assert net(images).shape == (2, 4, 3)
    assert net(images, "over").shape == (2, 4, 8)
    torch.testing.assert_close(net.answer(net.trunk(images)), net(images))


def test_components_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    features = (rng.normal(3, 2, (50, 6)) @ rng.normal(size=(6, 6))).astype(np.float32)
    features[:, 5] = 2.0  # constant: of no use and no harm
    scale = principal_directions(torch.from_numpy(features), 3)
    found = project(torch.from_numpy(features), *scale).numpy()
    standard = StandardScaler().fit_transform(features)
    expected = PCA(3).fit_transform(standard)
    expected *= np.sqrt(3 / (expected**2).sum(1, keepdims=True))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-4)


def test_heads_may_stand_on_components():
    trunk = Trunk(nn.Flatten(), 4)
    net = ClusterNet(trunk, 3, 5, 2, hidden=6, components=2)
    images = torch.rand(8, 1, 2, 2)
    features = trunk(images)
    net.centre, net.spread, net.directions = principal_directions(features, 2)
    torch.testing.assert_close(net(images), net.assign(net.reduce(features)))
    torch.testing.assert_close(net.reduce(features).square().mean(1), torch.ones(8))


def test_supervised_net():
    trunk = Trunk(nn.Flatten(), 4)
    assert SupervisedNet(trunk, 3, 8)(torch.rand(5, 1, 2, 2)).shape == (5, 3)


def test_batch_norm_settles_on_given_images():
    trunk = build_trunk("vgg-iic", 1, 2)
    images = torch.rand(40, 1, 24, 24)
    settle_batch_norm(trunk, images.split(20))
    assert trunk.training
    first = trunk.network.layers[0]
    maps = first[0](images)
    torch.testing.assert_close(first[1].running_mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert first[1].momentum == 0.1
    trunk.eval()
    whole, alone = trunk(images), trunk(images[:1])
    torch.testing.assert_close(whole[:1], alone, rtol=1e-4, atol=1e-5)
