import pytest
import torch
import torch.nn.functional as F

from frugalseg.errors import FrugalsegError
from frugalseg.metrics.cost import count_multiply_adds
from frugalseg.models import SAMPLERS
from frugalseg.models.samplers import (
    BoundaryNet,
    build_sampler,
    default_thumbnail,
)
from frugalseg.models.segmenters import build_segmenter
from frugalseg.sampling import (
    boundary_maps,
    cell_spacing,
    equal_density_sampling,
    folded_cells,
    uniform_sampling,
)

SIZE = (16, 20)
THUMBNAIL = (48, 64)
LEARNING = [name for name in SAMPLERS if build_sampler(name, SIZE).learns]


def toy(count=4, seed=0):
    """Thumbnails of a bright disc on dark, noisy ground, their boundary maps, centres and radii."""
    generator = torch.Generator().manual_seed(seed)
    row = torch.linspace(0, 1, 4 * THUMBNAIL[0])[:, None]
    col = torch.linspace(0, THUMBNAIL[1] / THUMBNAIL[0], 4 * THUMBNAIL[1])
    centre = 0.3 + 0.4 * torch.rand(count, 2, generator=generator)
    centre[:, 1] *= THUMBNAIL[1] / THUMBNAIL[0]
    radius = 0.15 + 0.1 * torch.rand(count, generator=generator)
    distance = torch.stack([((row - y) ** 2 + (col - x) ** 2).sqrt() for y, x in centre])
    labels = (distance < radius[:, None, None]).long()
    image = 0.15 + 0.7 * labels[:, None].float().expand(-1, 3, -1, -1)
    thumbnail = torch.nn.functional.avg_pool2d(image, 4)
    thumbnail = (thumbnail + 0.05 * torch.randn(thumbnail.shape, generator=generator)).clamp(0, 1)
    return thumbnail, boundary_maps(labels, THUMBNAIL, [1]), centre, radius


def build(name, **options):
    torch.manual_seed(0)
    return build_sampler(name, SIZE, **options)


def train(sampler, steps, learning_rate=3e-3):
    optimiser = torch.optim.Adam(sampler.parameters(), learning_rate)
    losses = []
    for step in range(steps):
        thumbnail, maps, _, _ = toy(seed=step % 5)
        loss = sampler.loss(thumbnail, maps)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("size", [(16, 20), (9, 5)])
def test_every_sampler_covers(name, size):
    thumbnail, maps, _, _ = toy(2)
    torch.manual_seed(0)
    sampler = build_sampler(name, size).eval()
    with torch.no_grad():
        phi = sampler(maps if name == "oracle" else thumbnail)
    assert phi.shape == (2, *size, 2)
    assert phi.dtype == torch.float32
    assert bool((phi[:, 0, :, 0] == 0).all() & (phi[:, -1, :, 0] == 1).all())
    assert bool((phi[:, :, 0, 1] == 0).all() & (phi[:, :, -1, 1] == 1).all())
    assert phi.min() >= 0
    assert phi.max() <= 1


@pytest.mark.parametrize("name", ["direct", "boundary", "uniform"])
def test_an_untrained_answer_of_offsets_is_stay(name):
    phi = build(name).eval()(toy(1)[0])
    torch.testing.assert_close(phi, uniform_sampling(SIZE), atol=1e-5, rtol=0)


def test_an_untrained_density_is_nearly_flat():
    phi = build("density").eval()(toy(2)[0])
    spacing = torch.tensor([SIZE[0] - 1, SIZE[1] - 1])
    assert ((phi - uniform_sampling(SIZE)) * spacing).norm(dim=-1).mean() < 0.5


@pytest.mark.parametrize("name", LEARNING)
def test_loss_falls(name):
    losses = train(build(name), 25)
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


def test_trained_density_gathers_samples_at_the_edge():
    sampler = build("density")
    train(sampler, 60, 1e-2)
    thumbnail, _, centre, radius = toy(4, seed=99)
    with torch.no_grad():
        phi = sampler.eval()(thumbnail)
    place = phi * torch.tensor([1.0, THUMBNAIL[1] / THUMBNAIL[0]])
    distance = (place - centre[:, None, None]).norm(dim=-1) - radius[:, None, None]
    spacing = cell_spacing(phi).mean(-1)
    at_edge, far = distance.abs() < 0.04, distance.abs() > 0.2
    assert spacing[at_edge].mean() < 0.85
    assert spacing[far].mean() > 1
    assert (folded_cells(phi) == 0).all()


def test_oracle_follows_the_true_boundaries():
    _, maps, _, _ = toy(2)
    expected = equal_density_sampling(maps[:, 0] + 0.25 * maps[:, 1], SIZE, 0.4, 1.2)
    assert torch.equal(build("oracle", share=0.4, blur=1.2)(maps), expected)


def test_the_gradient_sampler_gathers_samples_at_the_edge_untrained():
    thumbnail, _, centre, radius = toy(4, seed=99)
    phi = build("gradient")(thumbnail)
    place = phi * torch.tensor([1.0, THUMBNAIL[1] / THUMBNAIL[0]])
    distance = (place - centre[:, None, None]).norm(dim=-1) - radius[:, None, None]
    spacing = cell_spacing(phi).mean(-1)
    assert spacing[distance.abs() < 0.04].mean() < 0.9
    assert spacing[distance.abs() > 0.2].mean() > 1
    assert (folded_cells(phi) == 0).all()


def test_the_separable_sampler_keeps_rows_and_columns_straight():
    sampler = build("separable")
    train(sampler, 20, 1e-2)
    with torch.no_grad():
        phi = sampler.eval()(toy(2)[0])
    assert torch.equal(phi[..., 0], phi[:, :, :1, 0].expand(-1, -1, SIZE[1]))
    assert torch.equal(phi[..., 1], phi[:, :1, :, 1].expand(-1, SIZE[0], -1))
    assert (phi - uniform_sampling(SIZE)).abs().max() > 0.01


def test_a_finer_thumbnail_for_samplers_that_ask_for_it():
    assert default_thumbnail((32, 32), 1.0) == (48, 48)
    assert default_thumbnail((32, 32), 1.0, "gradient") == (136, 136)


def test_gradients_of_a_task_reach_every_parameter_of_the_density_sampler():
    sampler = build("density")
    thumbnail, _, centre, _ = toy(2)
    goal = centre[:, None, None] * torch.tensor([1.0, THUMBNAIL[0] / THUMBNAIL[1]])
    (sampler(thumbnail) - goal).square().sum().backward()
    for name, parameter in sampler.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name
    assert sampler.network.head.weight.grad.abs().sum() > 0


def test_samplers_take_thumbnails_of_odd_sizes():
    for name in LEARNING:
        phi = build(name).eval()(torch.rand(1, 3, 37, 51))
        assert phi.shape == (1, *SIZE, 2)
    assert BoundaryNet(2).eval()(torch.rand(1, 3, 37, 51)).shape == (1, 2, 37, 51)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 4 / 3, 2.0])
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (64, 128)])
def test_the_default_thumbnail_has_twice_as_many_pixels_as_samples(size, aspect):
    a, b = default_thumbnail(size, aspect)
    assert a % 8 == 0
    assert b % 8 == 0
    assert a * b / (size[0] * size[1]) == pytest.approx(2, rel=0.25)
    assert b / a == pytest.approx(aspect, rel=0.2)


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_default_samplers_cost_less_than_a_tenth_of_the_segmenter(aspect):
    size = (64, 64)
    segmenter = build_segmenter("unet", 5, pretrained=False)
    budget = 0.1 * count_multiply_adds(segmenter, torch.rand(1, 3, *size))
    thumbnail = torch.rand(1, 3, *default_thumbnail(size, aspect))
    for name in LEARNING:
        sampler = build_sampler(name, size)
        # saliency_sampling's matrix products are no network
        network = getattr(sampler, "network", sampler)
        assert count_multiply_adds(network, thumbnail) < budget, name


def test_what_is_unknown_is_refused():
    with pytest.raises(FrugalsegError, match="did you mean 'density'"):
        build_sampler("densty", SIZE)
    with pytest.raises(FrugalsegError, match="uniform"):
        build_sampler("nothing like it", SIZE)
    with pytest.raises(FrugalsegError, match=r"no option 'smoothnes' .did you mean 'smoothness'"):
        build_sampler("direct", SIZE, smoothnes=3)
    with pytest.raises(FrugalsegError, match=r"no option 'wdth' .did you mean 'width'"):
        build_sampler("boundary", SIZE, wdth=3)
    for fixed in ("network", "outputs", "self"):
        with pytest.raises(FrugalsegError, match=fixed):
            build_sampler("boundary", SIZE, **{fixed: 3})
    with pytest.raises(FrugalsegError, match=r"'uniform' has no option 'share'\. It has none"):
        build_sampler("uniform", SIZE, share=0.5)


@pytest.mark.parametrize("name", ["direct", "boundary"])
def test_a_smoothness_without_a_least_energy_is_refused_when_the_sampler_is_made(name):
    with pytest.raises(FrugalsegError, match="smoothness is at least 0"):
        build_sampler(name, SIZE, smoothness=-1.0)


def test_pixels_of_a_finer_thumbnail_enter_side_by_side():
    torch.manual_seed(0)
    sampler = build_sampler("density", (8, 8), patch=2).eval()
    thumbnail, maps = torch.rand(2, 3, 32, 48), torch.rand(2, 2, 32, 48)
    assert sampler.density(thumbnail).shape == (2, 16, 24)
    shares = F.avg_pool2d(maps, 2)
    expected = F.binary_cross_entropy_with_logits(sampler.network(thumbnail), shares)
    torch.testing.assert_close(sampler.loss(thumbnail, maps), expected)
    assert folded_cells(sampler(thumbnail)).sum() == 0
