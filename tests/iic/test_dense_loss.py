import math

import numpy as np
import pytest
import torch

from frugalseg.iic import displaced_joint, iic_loss, iic_segmentation_loss
from frugalseg.iic._displaced import METHODS, Problem, choose
from gloo import dense_loss_and_gradient, run_in_processes
from reference.information import slow_displaced_counts, slow_segmentation_information

# tiles are for float32
DTYPES = {"shifts": torch.float64, "tiles": torch.float32, "fft": torch.float64}
both_losses = pytest.mark.parametrize("per_displacement", [True, False])
every_method = pytest.mark.parametrize("method", METHODS)


def maps(*shape, seed=0, sharp=2.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (
        (sharp * torch.randn(shape, generator=generator, dtype=torch.float64)).softmax(-3).to(dtype)
    )


def masks(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.3


def published(p, q, d, valid=None):
    """The counts as the published code makes them: a convolution with a kernel of maps."""
    if valid is not None:
        p, q = p * valid[:, None], q * valid[:, None]
    counts = torch.nn.functional.conv2d(q.transpose(0, 1), p.transpose(0, 1), padding=d)
    return counts.permute(2, 3, 1, 0)


@every_method
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_against_the_loop_over_pixels_and_displacements(method, weighted):
    p, q = maps(2, 3, 5, 7), maps(2, 3, 5, 7, seed=1)
    weight = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(2)) if weighted else None
    expected = slow_displaced_counts(
        p.numpy(), q.numpy(), 2, None if weight is None else weight.numpy()
    )
    p, q = p.to(DTYPES[method]), q.to(DTYPES[method])
    counts = displaced_joint(p, q, 2, weight, method=method)
    assert counts.dtype == p.dtype
    np.testing.assert_allclose(counts, expected, rtol=1e-12 if method != "tiles" else 2e-6)


# one tile and several, more than are worked on at once, clusters beside threes, d above H
@every_method
@pytest.mark.parametrize(
    ("shape", "d"),
    [((2, 4, 20, 70), 3), ((1, 4, 100, 30), 10), ((5, 3, 64, 65), 1), ((1, 2, 4, 5), 6)],
)
@pytest.mark.parametrize("masked", [False, True])
def test_counts_and_gradients_against_the_convolution(method, shape, d, masked, monkeypatch):
    for module in ("_tiles", "_displaced"):
        monkeypatch.setattr(f"frugalseg.iic.{module}.AT_ONCE", 1)
    p, q = (maps(*shape, seed=s).requires_grad_() for s in (0, 1))
    valid = masks(shape[0], *shape[2:]) if masked else None
    expected = published(p, q, d, valid)
    change = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, (p, q), change)
    x, y = (a.detach().to(DTYPES[method]).requires_grad_() for a in (p, q))
    counts = displaced_joint(x, y, d, valid, method=method)
    tolerance = 1e-12 if method != "tiles" else 2e-6
    close = {"rtol": 0, "atol": tolerance * expected.abs().max().item()}
    torch.testing.assert_close(counts.double(), expected, **close)
    for own, other in zip(
        torch.autograd.grad(counts, (x, y), change.to(x.dtype)), gradients, strict=True
    ):
        close = {"rtol": 0, "atol": tolerance * other.abs().max().item()}
        torch.testing.assert_close(own.double(), other, **close)


@pytest.mark.parametrize("method", ["shifts", "fft"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck_of_the_counts(method, masked):
    p, q = (maps(1, 2, 2, 3, seed=s).requires_grad_() for s in (0, 1))
    valid = masks(1, 2, 3) if masked else None
    assert torch.autograd.gradcheck(
        lambda a, b: displaced_joint(a, b, 1, valid, method=method), (p, q)
    )


@both_losses
def test_gradcheck_of_the_loss(per_displacement):
    logits = [torch.randn(2, 1, 3, 2, 3, dtype=torch.float64, requires_grad=True) for _ in "pq"]
    valid = masks(1, 2, 3)
    assert torch.autograd.gradcheck(
        lambda a, b: iic_segmentation_loss(
            a.softmax(2), b.softmax(2), valid, 1, 1.3, per_displacement
        ),
        logits,
    )


@both_losses
@pytest.mark.parametrize("weight", [1.0, 1.5])
def test_losses_of_sub_heads_against_the_definition(per_displacement, weight):
    p, q, valid = maps(3, 2, 4, 6, 5), maps(3, 2, 4, 6, 5, seed=1), masks(2, 6, 5)
    losses = iic_segmentation_loss(p, q, valid, 2, weight, per_displacement)
    assert losses.shape == (3,)
    for s in range(3):
        counts = slow_displaced_counts(p[s].numpy(), q[s].numpy(), 2, valid.numpy())
        expected = -slow_segmentation_information(counts, weight, per_displacement)
        assert losses[s].item() == pytest.approx(expected, abs=1e-12)


@both_losses
def test_without_displacement_it_is_the_loss_of_paired_pixels(per_displacement):
    p, q = maps(3, 5, 8, 9).requires_grad_(), maps(3, 5, 8, 9, seed=1)
    dense = iic_segmentation_loss(p, q, None, 0, 1.2, per_displacement)
    plain = iic_loss(p.movedim(1, -1).flatten(0, 2), q.movedim(1, -1).flatten(0, 2), 1.2)
    torch.testing.assert_close(dense, plain)
    for own, other in zip(*(torch.autograd.grad(x, p) for x in (dense, plain)), strict=True):
        torch.testing.assert_close(own, other)


def test_one_joint_for_all_is_that_of_the_summed_counts():
    p, q, valid = maps(2, 4, 20, 30), maps(2, 4, 20, 30, seed=1), masks(2, 20, 30)
    counts = displaced_joint(p, q, 3, valid).sum((0, 1))
    expected = -slow_segmentation_information(counts[None].numpy())
    loss = iic_segmentation_loss(p, q, valid, 3, per_displacement=False)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


@both_losses
def test_bounds(per_displacement):
    for seed in range(5):
        p, q = maps(2, 6, 16, 16, seed=seed), maps(2, 6, 16, 16, seed=seed + 100)
        loss = iic_segmentation_loss(p, q, None, 2, 1.0, per_displacement).item()
        assert -math.log(6) <= loss <= 1e-12
    uniform = torch.full((2, 6, 16, 16), 1 / 6)
    loss = iic_segmentation_loss(uniform, uniform, None, 2, 1.0, per_displacement)
    assert loss.item() == pytest.approx(0, abs=1e-5)


@both_losses
def test_nothing_valid_and_displacements_without_pairs(per_displacement):
    p, q = (maps(1, 3, 4, 4, seed=s).requires_grad_() for s in (0, 1))
    nothing = iic_segmentation_loss(p, q, torch.zeros(1, 4, 4), 1, 1.2, per_displacement)
    assert nothing.item() == 0
    assert not any(g.any() for g in torch.autograd.grad(nothing, (p, q)))
    loss = iic_segmentation_loss(p, q, None, 6, 1.2, per_displacement)  # wider than the maps
    near = iic_segmentation_loss(p, q, None, 3, 1.2, per_displacement)
    torch.testing.assert_close(loss, near)
    for g in torch.autograd.grad(loss, (p, q)):
        assert torch.isfinite(g).all()


@every_method
def test_zeros_are_exact_in_value_and_gradient(method, monkeypatch):
    monkeypatch.setattr("frugalseg.iic._displaced.choose", lambda _: method)
    generator = torch.Generator().manual_seed(0)
    # all but decided beyond what softmax can hold; cluster 3 is never used by the second view
    centre = torch.randint(3, (2, 40, 40), generator=generator)
    centre = centre[:, ::8, ::8].repeat_interleave(8, 1).repeat_interleave(8, 2)
    hard = 4000.0 * torch.nn.functional.one_hot(centre, 4).movedim(-1, 1)
    soft = hard / 2000 + torch.randn(2, 4, 40, 40, generator=generator)
    soft[:, 3] = -4000
    losses = []
    for dtype in (torch.float32, torch.float64):
        p, q = (a.to(dtype, copy=True).requires_grad_() for a in (hard, soft))
        if dtype == torch.float64:
            monkeypatch.setattr("frugalseg.iic._displaced.choose", lambda _: "shifts")
        loss = iic_segmentation_loss(p.softmax(1), q.softmax(1), max_displacement=2)
        losses.append((loss, *torch.autograd.grad(loss, (p, q))))
    for own, exact in zip(*losses, strict=True):
        torch.testing.assert_close(own.double(), exact, rtol=1e-4, atol=1e-8)
    assert not losses[0][2][:, 3].any()
    counts = displaced_joint(hard.softmax(1), soft.softmax(1), 2, method=method)
    assert not counts[:, :, :, 3].any()
    assert not counts[:, :, 3].any()
    assert (counts >= 0).all()


@every_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_counted_in_float32(method, dtype):
    p, q = maps(1, 3, 20, 20).to(dtype).requires_grad_(), maps(1, 3, 20, 20, seed=1).to(dtype)
    counts = displaced_joint(p, q, 2, method=method)
    assert counts.dtype == torch.float32
    expected = published(p.double(), q.double(), 2)
    torch.testing.assert_close(counts.double(), expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        again = displaced_joint(p, q, 2, method=method)
        assert torch.equal(again, counts)
        (change,) = torch.autograd.grad(again.square().sum(), p)
    assert torch.equal(change, torch.autograd.grad(counts.square().sum(), p)[0])


def test_threads_and_memory_layout_do_not_change_the_answer():
    p, q = maps(4, 5, 80, 80, dtype=torch.float32), maps(4, 5, 80, 80, seed=1, dtype=torch.float32)
    threads = torch.get_num_threads()
    answers = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            x, y = (a.clone().requires_grad_() for a in (p, q))
            counts = displaced_joint(x, y, 4, method="tiles")
            answers.append((counts, *torch.autograd.grad(counts.square().sum(), (x, y))))
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*answers, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=0)
    last = torch.channels_last
    other = displaced_joint(
        p.contiguous(memory_format=last), q.contiguous(memory_format=last), 4, method="tiles"
    )
    assert torch.equal(other, answers[0][0])


def test_the_way_that_is_the_quickest_is_taken():
    def way(n, k, side, d, dtype=torch.float32):
        p = torch.empty(n, k, side, side, dtype=dtype)
        return choose(Problem(p, p, None, d))

    assert way(16, 15, 128, 0) == "shifts"
    assert way(8, 3, 64, 1) == "shifts"
    assert way(1, 3, 8, 2) == way(8, 3, 32, 2) == "fft"
    assert way(16, 15, 128, 1) == way(2, 36, 200, 1) == "shifts"
    assert way(16, 15, 128, 2) == way(16, 15, 128, 10) == "tiles"
    assert way(1, 15, 128, 21) == way(1, 15, 128, 10, torch.float64) == "fft"


def test_two_processes_equal_one(tmp_path):
    generator = torch.Generator().manual_seed(0)
    images, others = torch.randn(2, 4, 3, 8, 9, generator=generator, dtype=torch.float64)
    weight = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    inputs = images, others, masks(4, 8, 9), weight
    expected = dense_loss_and_gradient(0, 1, inputs)
    for answers in run_in_processes(dense_loss_and_gradient, inputs, tmp_path):
        for (loss, own), (one, gradient) in zip(answers, expected, strict=True):
            torch.testing.assert_close(loss, one)
            torch.testing.assert_close(own, gradient)


def test_shapes_and_options_that_do_not_belong_together():
    ones = torch.ones(2, 3, 4, 5)
    for p, q in ((ones, ones[:1]), (ones[0], ones[0]), (ones, ones[None]), (ones[:0], ones[:0])):
        with pytest.raises(ValueError, match="are not both"):
            displaced_joint(p, q, 1)
    with pytest.raises(ValueError, match="valid"):
        iic_segmentation_loss(ones, ones, torch.ones(2, 5, 4), 1)
    with pytest.raises(ValueError, match="displacement is -1"):
        displaced_joint(ones, ones, -1)
    with pytest.raises(ValueError, match="no method 'slow'"):
        displaced_joint(ones, ones, 1, method="slow")
    with pytest.raises(ValueError, match="tiles are for"):
        displaced_joint(ones, ones, 21, method="tiles")
