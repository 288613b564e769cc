import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tensor_density import (
    conjugate_gradients,
    gradient_with_tensors,
    place_with_tensors,
)
from frugalseg.sampling import (
    equal_density_sampling,
    folded_cells,
    relative_density,
    separable_sampling,
    uniform_sampling,
)
from frugalseg.sampling.density import _place, _unfolded, rest_positions
from reference.density import dense_rest, slow_placement, slow_relative_density

SIZES = [(2, 2), (2, 5), (3, 3), (3, 64), (7, 6), (8, 8), (13, 20), (17, 17)]


def stiffnesses(size, contrast, batch=1, seed=0, dtype=torch.float64):
    """Positive stiffnesses whose largest is ``contrast`` times their smallest, at random."""
    generator = torch.Generator().manual_seed(seed)
    h, w = size
    vertical = torch.rand(batch, h - 1, w, generator=generator, dtype=dtype)
    horizontal = torch.rand(batch, h, w - 1, generator=generator, dtype=dtype)
    return contrast**vertical, contrast**horizontal


def peaky(kind, shape, seed=0):
    """Densities that are hard on the placement."""
    generator = torch.Generator().manual_seed(seed)
    density = torch.zeros(1, *shape)
    if kind == "pixel":
        density[0, int(0.3 * shape[0]), int(0.7 * shape[1])] = 1
    elif kind == "lines":
        density[0, shape[0] // 3] = 1
        density[0, :, shape[1] // 2] = 2
    elif kind == "corner":
        density[0, 0, 0] = 1
    elif kind == "specks":
        density[0] = torch.rand(*shape, generator=generator) ** 30
    else:
        density[0] = torch.rand(*shape, generator=generator)
    return density


PEAKY = ["pixel", "lines", "corner", "specks", "noise"]


def disc(shape, centre=(0.4, 0.6), radius=0.2):
    """The edge of a disc."""
    row, col = torch.meshgrid(
        (torch.arange(shape[0]) + 0.5) / shape[0],
        (torch.arange(shape[1]) + 0.5) / shape[1],
        indexing="ij",
    )
    distance = ((row - centre[0]) ** 2 + (col - centre[1]) ** 2).sqrt()
    return torch.exp(-(((distance - radius) / 0.03) ** 2))[None]


# ---- springs at rest


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("contrast", [1.0, 10.0, 1e4])
def test_rest_positions_against_a_dense_solve(size, contrast):
    vertical, horizontal = stiffnesses(size, contrast)
    phi = rest_positions(vertical, horizontal)
    np.testing.assert_allclose(
        phi[0], dense_rest(vertical[0].numpy(), horizontal[0].numpy()), atol=1e-9
    )


@pytest.mark.parametrize("size", [(3, 9), (12, 12), (21, 30)])
@pytest.mark.parametrize("contrast", [10.0, 1e4])
def test_multigrid_and_tensor_solver_agree(size, contrast):
    vertical, horizontal = stiffnesses(size, contrast, batch=2)
    right = torch.zeros(2, 2, *size, dtype=torch.float64)
    start = uniform_sampling(size, 2, torch.float64).permute(0, 3, 1, 2)
    tensors = conjugate_gradients(vertical, horizontal, right, start, 1e-13)
    ours = rest_positions(vertical, horizontal)
    torch.testing.assert_close(tensors.permute(0, 2, 3, 1), ours, atol=1e-10 * contrast, rtol=0)


@settings(max_examples=30, deadline=None)
@given(h=st.integers(2, 24), w=st.integers(2, 24), seed=st.integers(0, 10**6))
def test_cells_are_convex_whatever_the_stiffness(h, w, seed):
    phi = rest_positions(*stiffnesses((h, w), 1e4, seed=seed))
    assert folded_cells(phi).item() == 0


# ---- the density that is followed


@pytest.mark.parametrize("blur", [0.4, 1.5])
def test_relative_density_against_a_convolution(blur):
    density = peaky("specks", (14, 19)).double()
    density[0, 3] = -1.0  # counts as 0
    found = relative_density(density, (6, 9), 0.6, blur)[0]
    expected = slow_relative_density(density[0].numpy(), (6, 9), 0.6, blur)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_relative_density_has_mean_one_and_a_floor():
    rho = relative_density(peaky("pixel", (20, 30)), (16, 16), share=0.7)
    assert rho.mean().item() == pytest.approx(1, abs=1e-5)
    assert rho.min().item() >= 0.3 - 1e-6


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e30])
def test_only_the_shape_of_the_density_matters(scale):
    density = disc((24, 24))
    phi = equal_density_sampling(density, (16, 16))
    torch.testing.assert_close(
        equal_density_sampling(density * scale, (16, 16)), phi, atol=2e-5, rtol=0
    )


@pytest.mark.parametrize("size", [(2, 2), (5, 31), (64, 33)])
@pytest.mark.parametrize("value", [0.0, -1.0, 0.25, 7e-12])
@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_flat_and_empty_densities_give_the_uniform_grid(size, value, blur):
    phi = equal_density_sampling(torch.full((1, 24, 32), value), size, blur=blur)
    torch.testing.assert_close(phi, uniform_sampling(size), atol=1e-6, rtol=0)


def test_share_zero_is_exactly_uniform():
    phi = equal_density_sampling(disc((24, 24)), (16, 20), share=0.0)
    assert torch.equal(phi, uniform_sampling((16, 20)))


def test_one_share_an_image():
    density = disc((24, 24)).expand(2, -1, -1)
    both = equal_density_sampling(density, (12, 12), share=torch.tensor([0.2, 0.6]))
    for k, share in enumerate((0.2, 0.6)):
        one = equal_density_sampling(density[:1], (12, 12), share=share)
        torch.testing.assert_close(both[k : k + 1], one, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"density": torch.ones(8, 8)}, r"\(N, a, b\)"),
        ({"density": torch.ones(1, 1, 8)}, "at least 2"),
        ({"size": (1, 8)}, "2x2"),
        ({"share": 1.0}, "share"),
        ({"share": -0.1}, "share"),
        ({"share": torch.tensor([float("nan")])}, "share"),
        ({"density": torch.full((1, 8, 8), float("nan"))}, "finite"),
        ({"density": torch.full((1, 8, 8), float("inf"))}, "finite"),
    ],
)
def test_what_cannot_be_is_refused(change, problem):
    with pytest.raises(ValueError, match=problem):
        equal_density_sampling(**{"density": torch.ones(1, 8, 8), "size": (8, 8), **change})


def test_a_single_bad_value_is_refused():
    density = torch.ones(2, 16, 16)
    density[1, 3, 5] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        equal_density_sampling(density, (8, 8))


# ---- the placement


@pytest.mark.parametrize("size", [(9, 12), (12, 9)])
def test_placement_against_many_small_exact_steps(size):
    rho = relative_density(disc((24, 30)).double(), size, share=0.5, blur=1.0)
    expected = slow_placement(rho[0].numpy(), size)
    found = _place(rho, size, 80)
    np.testing.assert_allclose(found[0], expected, atol=1e-8)
    spacing = np.array(size) - 1
    quick = (_place(rho, size, 10)[0].numpy() - expected) * spacing
    assert np.sqrt((quick**2).sum(-1).mean()) < 0.05


@pytest.mark.parametrize("axis", [1, 2])
def test_gaps_are_inversely_proportional_to_the_density_between(axis):
    line = 1 + 3 * torch.exp(-(((torch.arange(60) - 22) / 6.0) ** 2))
    density = (line[None, :, None] if axis == 1 else line[None, None]).expand(1, 60, 60).double()
    phi = equal_density_sampling(density, (25, 25), steps=60)
    rho = relative_density(density, (25, 25)).select(3 - axis, 0)[0].numpy()
    place = phi[0, :, 7, 0] if axis == 1 else phi[0, 7, :, 1]
    across = phi[0, :, 7, 1] if axis == 1 else phi[0, 7, :, 0]
    torch.testing.assert_close(across, torch.full_like(across, 7 / 24), atol=1e-9, rtol=0)
    middle = ((place[1:] + place[:-1]) / 2).numpy()
    load = place.diff().numpy() * np.interp(middle, (np.arange(60) + 0.5) / 60, rho)
    np.testing.assert_allclose(load, load.mean(), rtol=1e-6)


@pytest.mark.parametrize("kind", PEAKY)
@pytest.mark.parametrize("size", [(2, 2), (3, 64), (5, 4), (16, 16), (33, 40)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_covering_and_never_folded(kind, size, dtype):
    density = peaky(kind, (40, 56)).to(dtype)
    for share, blur in ((0.5, 1.0), (0.9, 0.5)):
        phi = equal_density_sampling(density, size, share, blur)
        assert phi.dtype == dtype
        assert bool((phi[:, 0, :, 0] == 0).all() & (phi[:, -1, :, 0] == 1).all())
        assert bool((phi[:, :, 0, 1] == 0).all() & (phi[:, :, -1, 1] == 1).all())
        assert phi.min() >= 0
        assert phi.max() <= 1
        assert folded_cells(phi).item() == 0


@settings(max_examples=40, deadline=None)
@given(
    h=st.integers(2, 40),
    w=st.integers(2, 40),
    a=st.integers(2, 40),
    b=st.integers(2, 40),
    seed=st.integers(0, 10**6),
    power=st.floats(0.5, 60),
    share=st.floats(0, 0.95),
    blur=st.floats(0, 2),
)
def test_never_folded_over_random_densities(h, w, a, b, seed, power, share, blur):
    density = torch.rand(1, a, b, generator=torch.Generator().manual_seed(seed)) ** power
    assert folded_cells(equal_density_sampling(density, (h, w), share, blur)).item() == 0


def test_the_guard_mends_a_folded_placement():
    density = disc((20, 20)).double()
    rho = relative_density(density, (8, 8))
    bad = _place(rho, (8, 8), 10)
    bad[0, 3, 3] = bad[0, 4, 4] + 0.05
    assert folded_cells(bad).item() > 0
    mended = _unfolded(bad, rho)
    assert folded_cells(mended).item() == 0
    assert bool((mended[:, 0, :, 0] == 0).all() & (mended[:, :, -1, 1] == 1).all())


def test_samples_gather_where_the_density_is():
    density = disc((48, 48))
    phi = equal_density_sampling(density, (24, 24))

    def near(points):
        distance = (points - points.new_tensor([0.4, 0.6])).norm(dim=-1)
        return ((distance - 0.2).abs() < 0.05).float().mean().item()

    assert near(phi) > 1.5 * near(uniform_sampling((24, 24)))


@pytest.mark.parametrize("axis", [1, 2])
def test_mirrored_density_mirrored_placement(axis):
    density = disc((30, 30)).double()
    phi = equal_density_sampling(density, (17, 17), steps=60)
    mirrored = equal_density_sampling(density.flip(axis), (17, 17), steps=60).flip(axis)
    mirrored[..., axis - 1] = 1 - mirrored[..., axis - 1]
    torch.testing.assert_close(mirrored, phi, atol=1e-7, rtol=0)


def test_transposed_density_transposed_placement():
    density = disc((30, 40)).double()
    phi = equal_density_sampling(density, (14, 20), steps=60)
    turned = equal_density_sampling(density.mT, (20, 14), steps=60)
    torch.testing.assert_close(turned.transpose(1, 2).flip(-1), phi, atol=1e-7, rtol=0)


def test_a_batch_is_its_images():
    density = torch.cat([peaky(kind, (24, 32)) for kind in PEAKY])
    together = equal_density_sampling(density, (16, 20))
    apart = [equal_density_sampling(one[None], (16, 20)) for one in density]
    torch.testing.assert_close(together, torch.cat(apart), atol=1e-6, rtol=0)


def test_threads_change_nothing():
    density = torch.cat([peaky(kind, (24, 32)) for kind in PEAKY])
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            leaf = density.clone().requires_grad_()
            phi = equal_density_sampling(leaf, (9, 12), blur=1.5)
            (gradient,) = torch.autograd.grad((phi**3).sum(), leaf)
            results.append((phi.detach(), gradient))
    finally:
        torch.set_num_threads(threads)
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [(7, 9), (16, 12)])
def test_tensor_placement_and_gradient_agree_with_the_kernels(size):
    rho = relative_density(disc((24, 30)).double(), size)
    phi = _place(rho, size, 80)
    torch.testing.assert_close(place_with_tensors(rho, size, 80), phi, atol=1e-8, rtol=0)
    gradient = torch.randn(phi.shape, dtype=phi.dtype, generator=torch.Generator().manual_seed(0))
    leaf = rho.clone().requires_grad_()
    from frugalseg.sampling.density import _EqualDensity

    (ours,) = torch.autograd.grad(_EqualDensity.apply(leaf, size, 80), leaf, gradient)
    theirs = gradient_with_tensors(rho, phi, gradient)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_gradient_of_the_placement():
    density = 0.2 + torch.rand(2, 7, 6, generator=torch.Generator().manual_seed(3)).double()
    share = torch.tensor([0.4, 0.6], dtype=torch.float64)

    def place(density, share):
        return equal_density_sampling(density, (5, 6), share, blur=1.0, steps=120)

    inputs = (density.requires_grad_(), share.requires_grad_())
    assert torch.autograd.gradcheck(place, inputs, eps=1e-6, atol=1e-5)


def test_gradient_stays_finite_where_the_placement_does_not_settle():
    density = peaky("specks", (40, 40)).requires_grad_()
    phi = equal_density_sampling(density, (32, 32), share=0.9, blur=0.3)
    (gradient,) = torch.autograd.grad((phi**2).sum(), density)
    assert bool(gradient.isfinite().all())
    assert gradient.abs().max() > 0


# ---- rows and columns separately


@pytest.mark.parametrize("size", SIZES)
def test_strips_between_rows_and_columns_hold_equal_mass(size):
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(2, 11, 19, generator=generator, dtype=torch.float64) ** 4
    phi = separable_sampling(density, size, 0.8, 0)
    rho = relative_density(density, size, 0.8, 0).numpy()
    assert (folded_cells(phi) == 0).all()
    for n in range(2):
        for axis, places in ((0, phi[n, :, 0, 0]), (1, phi[n, 0, :, 1])):
            line = rho[n].mean(1 - axis)
            edges = np.linspace(0, 1, len(line) + 1)
            mass = np.interp(places, edges, np.append(0, line.cumsum()))
            assert np.diff(mass) == pytest.approx(line.sum() / (len(places) - 1), rel=1e-9)


def test_gradients_of_separable_placement():
    density = torch.rand(1, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    density.requires_grad_()
    assert torch.autograd.gradcheck(lambda d: separable_sampling(d, (4, 5), 0.6), density)


def test_a_flat_density_is_placed_evenly_on_both_axes():
    phi = separable_sampling(torch.zeros(1, 5, 6), (4, 7))
    torch.testing.assert_close(phi, uniform_sampling((4, 7)))
