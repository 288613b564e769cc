import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch import nn

from frugalseg.models import HEADS
from frugalseg.models.backbone import Backbone, build_backbone
from frugalseg.models.heads import (
    SubHeads,
    SupervisedNet,
    TwoHeadNet,
    principal_directions,
    project,
)


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


@pytest.mark.parametrize("hidden", [0, 6])
def test_a_vector_is_a_map_of_one_place(hidden: int) -> None:
    of_maps = SubHeads(5, 3, 4, hidden, maps=True)
    of_vectors = SubHeads(5, 3, 4, hidden)
    state = of_maps.state_dict()
    if hidden:
        state["hidden.weight"] = state["hidden.weight"].flatten(1)
    of_vectors.load_state_dict(state)
    nn.init.normal_(of_maps.bias)
    of_vectors.bias.data = of_maps.bias.data
    maps = torch.randn(2, 5, 3, 4)
    places = of_vectors(maps.permute(0, 2, 3, 1).flatten(0, 2))
    expected = places.view(4, 2, 3, 4, 3).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(of_maps(maps), expected)


@pytest.mark.parametrize("hidden", [0, 3])
def test_sub_heads_do_not_see_each_other(hidden: int) -> None:
    heads = SubHeads(4, 3, 2, hidden, maps=True)
    features = torch.rand(2, 4, 5, 5)
    answers = heads(features)
    assert answers.shape == (2, 2, 3, 5, 5)
    answers[0].max().backward()
    gradient = heads.weight.grad
    assert gradient is not None
    assert gradient[0].abs().sum() > 0
    assert gradient[1].abs().sum() == 0


@pytest.mark.parametrize("maps", [False, True])
def test_linear_sub_heads_begin_as_published(maps: bool) -> None:
    heads = SubHeads(500, 50, 5, maps=maps)
    assert heads.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert not heads.bias.any()


def test_both_heads_of_vectors():
    net = TwoHeadNet(build_backbone("vgg-iic", 1, 2), 3, 8, 2)
    images = torch.rand(4, 1, 24, 24)
    assert net(images).shape == (2, 4, 3)
    assert net(images, "overcluster").shape == (2, 4, 8)
    assert all(isinstance(getattr(net, head), SubHeads) for head in HEADS)
    torch.testing.assert_close(net.assign(net.reduce(net.backbone(images))), net(images))


@pytest.mark.parametrize("size", [(32, 32), (31, 45)])
def test_both_heads_of_maps_whatever_the_size(size: tuple[int, int]) -> None:
    backbone = build_backbone("vgg-seg", 3, 2, maps=True).eval()
    net = TwoHeadNet(backbone, 3, 6, 2).eval()
    with torch.inference_mode():
        answers = net(torch.rand(2, 3, *size), "overcluster")
        assert answers.shape == (2, 2, 6, -(-size[0] // 2), -(-size[1] // 2))
        whole = net.enlarge(answers, size)
    assert whole.shape == (2, 2, 6, *size)
    torch.testing.assert_close(whole.sum(2), torch.ones(2, 2, *size))


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


def test_blocks_of_features_count_alike() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(80, 7)) * rng.uniform(0.5, 3, 7)
    *scale, directions = principal_directions(torch.from_numpy(features), 7, (5, 2))
    rows = (torch.from_numpy(features).float() - scale[0]) / scale[1]
    variances = rows.square().mean(0)
    torch.testing.assert_close(variances[:5].sum(), torch.tensor(1.0))
    torch.testing.assert_close(variances[5:].sum(), torch.tensor(1.0))
    along = (rows @ directions).square().mean(0)
    assert bool((along.diff() <= 1e-6).all())
    torch.testing.assert_close(along.sum(), torch.tensor(2.0))


@pytest.mark.parametrize("stride", [0, 2])
def test_a_merged_head_answers_by_the_nearest_centre(stride: int) -> None:
    network = nn.Conv2d(1, 4, 2, 2) if stride else nn.Flatten()
    net = TwoHeadNet(Backbone(network, 4, stride), 3, 5, 1, merged=True)
    centres, groups = torch.randn(5, 4), torch.tensor([2, 0, 1, 0, 2])
    net.set_centres(centres, groups, 0.7)
    images = torch.rand(6, 1, 2, 2)
    rows = net.backbone(images).reshape(6, 4)
    affinity = (-(rows[:, None] - centres).square().sum(-1) / 0.7).exp()
    finer = affinity / affinity.sum(1, keepdim=True)
    torch.testing.assert_close(net(images, "overcluster")[0].reshape(6, 5), finer)
    expected = torch.stack([affinity[:, groups == k].max(1).values for k in range(3)], 1)
    answers = net(images)[0].reshape(6, 3)
    torch.testing.assert_close(answers, expected / expected.sum(1, keepdim=True))
    nearest = torch.cdist(rows, centres).argmin(1)
    assert answers.argmax(1).tolist() == groups[nearest].tolist()
    again = TwoHeadNet(Backbone(network, 4, stride), 3, 5, 1, merged=True)
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again(images), net(images))


def test_heads_may_stand_on_components():
    backbone = Backbone(nn.Flatten(), 4)
    net = TwoHeadNet(backbone, 3, 5, 2, hidden=6, components=2)
    images = torch.rand(8, 1, 2, 2)
    features = backbone(images)
    net.centre, net.spread, net.directions = principal_directions(features, 2)
    torch.testing.assert_close(net(images), net.assign(net.reduce(features)))
    torch.testing.assert_close(net.reduce(features).square().mean(1), torch.ones(8))


def test_reduced_features_are_those_of_their_places() -> None:
    backbone = build_backbone("vgg-seg", 3, 2, maps=True).eval()
    net = TwoHeadNet(backbone, 2, 4, 1, components=5)
    net.directions = torch.linalg.qr(torch.randn(16, 5))[0]
    features = torch.rand(2, 16, 3, 4)
    reduced = net.reduce(features)
    assert reduced.shape == (2, 5, 3, 4)
    one = features[1, :, 2, 3] @ net.directions
    torch.testing.assert_close(reduced[1, :, 2, 3], one / one.norm() * 5**0.5)


def test_supervised_net():
    backbone = Backbone(nn.Flatten(), 4)
    assert SupervisedNet(backbone, 3, 8)(torch.rand(5, 1, 2, 2)).shape == (5, 3)
