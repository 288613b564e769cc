import math

import numpy as np
import pytest
import torch
from torch import nn

from frugalseg.iic import (
    accumulate_iic,
    entropy,
    iic_loss,
    joint_distribution,
    mutual_information,
    pair_counts,
)
from gloo import losses_and_gradients, run_in_processes
from reference.information import slow_information, slow_joint


def assignments(*shape, seed=0, sharp=2.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (sharp * torch.randn(shape, generator=generator, dtype=dtype)).softmax(-1)


@pytest.mark.parametrize("weight", [1.0, 1.5])
def test_against_the_loop_over_pairs_sub_heads_and_entries(weight):
    p, q = assignments(3, 7, 4), assignments(3, 2, 7, 4, seed=1)
    joint, losses = joint_distribution(p, q), iic_loss(p, q, weight)
    for s in range(3):
        expected = slow_joint(p[s].numpy(), q[s].numpy())
        np.testing.assert_allclose(joint[s], expected, rtol=1e-12)
        assert losses[s].item() == pytest.approx(-slow_information(expected, weight), abs=1e-12)


def test_without_sub_heads_and_copies():
    p, q = assignments(7, 4), assignments(7, 4, seed=1)
    expected = slow_information(slow_joint(p.numpy(), q[None].numpy()))
    assert iic_loss(p, q).item() == pytest.approx(-expected, abs=1e-12)
    torch.testing.assert_close(iic_loss(p, q[None]), iic_loss(p, q))


def test_it_is_symmetric_and_bounded():
    for seed in range(20):
        p, q = assignments(30, 6, seed=seed), assignments(30, 6, seed=seed + 100)
        loss = iic_loss(p, q).item()
        assert loss == pytest.approx(iic_loss(q, p).item(), abs=1e-12)
        assert -math.log(6) <= loss <= 1e-12
    one_hot = torch.eye(6, dtype=torch.float64).repeat(5, 1)
    assert iic_loss(one_hot, one_hot).item() == pytest.approx(-math.log(6))
    uniform = torch.full((30, 6), 1 / 6, dtype=torch.float64)
    assert iic_loss(uniform, uniform).item() == pytest.approx(0, abs=1e-12)


def test_the_weight_adds_entropy_of_the_marginals():
    joint = joint_distribution(assignments(9, 5), assignments(9, 5, seed=3))
    both = entropy(joint.sum(0)) + entropy(joint.sum(1))
    torch.testing.assert_close(
        mutual_information(joint, 1.7), mutual_information(joint) + 0.7 * both
    )


def test_gradcheck():
    logits = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    others = torch.randn(2, 3, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, b: iic_loss(a.softmax(-1), b.softmax(-1), 1.3), (logits, others)
    )


def test_zeros_are_exact_in_value_and_gradient():
    # clusters 0 and 1 decided beyond what softmax can hold; cluster 2 is never used
    logits = torch.tensor([[0.0, -2000, -4000], [-2000, 0, -4000], [0, -1.0, -4000]])
    loose = logits[:, :2].clone().requires_grad_()
    logits.requires_grad_()
    loss = iic_loss(logits.softmax(-1), logits.softmax(-1))
    small = iic_loss(loose.softmax(-1), loose.softmax(-1))
    assert loss.item() == pytest.approx(small.item(), abs=1e-7)
    loss.backward()
    small.backward()
    torch.testing.assert_close(logits.grad[:, :2], loose.grad)
    assert torch.equal(logits.grad[:, 2], torch.zeros(3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    p = assignments(5000, 10, dtype=torch.float32).to(dtype)
    joint = joint_distribution(p, p)
    assert joint.dtype == torch.float32
    expected = joint_distribution(p.double(), p.double())
    torch.testing.assert_close(joint.double(), expected, rtol=1e-5, atol=1e-8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(joint_distribution(p, p), joint)


def test_shapes_that_do_not_belong_together():
    for p, q in (((4, 3), (5, 3)), ((2, 4, 3), (4, 3)), ((4, 3), (2, 2, 4, 3)), ((3,), (3,))):
        with pytest.raises(ValueError, match="are not"):
            pair_counts(torch.ones(p), torch.ones(q))
    with pytest.raises(ValueError, match="3 and 2 clusters"):
        joint_distribution(torch.ones(4, 3), torch.ones(4, 2))


def linear_inputs():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(14, 5, generator=generator, dtype=torch.float64)
    transformed = torch.randn(2, 14, 5, generator=generator, dtype=torch.float64)
    weight = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    return images, transformed, weight


def whole_batch():
    images, transformed, weight = linear_inputs()
    weight.requires_grad_()
    heads = lambda x: torch.einsum("...nd,sdk->s...nk", x, weight).softmax(-1)  # noqa: E731
    losses = iic_loss(heads(images), heads(transformed), 1.2)
    losses.mean().backward()
    return losses.detach(), weight.grad


def test_parts_equal_the_whole_batch():
    images, transformed, weight = linear_inputs()
    weight.requires_grad_()

    def views(part):
        heads = lambda x: torch.einsum("...nd,sdk->s...nk", x, weight).softmax(-1)  # noqa: E731
        return heads(images[part]), heads(transformed[:, part])

    losses = accumulate_iic(views, [slice(0, 5), slice(5, 6), slice(6, 14)], 1.2)
    expected, gradient = whole_batch()
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(weight.grad, gradient)
    with pytest.raises(ValueError, match="no parts"):
        accumulate_iic(views, [])


def test_two_processes_equal_one(tmp_path):
    expected, gradient = whole_batch()
    for answers in run_in_processes(losses_and_gradients, linear_inputs(), tmp_path):
        for losses, own in answers:
            torch.testing.assert_close(losses, expected)
            torch.testing.assert_close(own, gradient)


def planted(count=300, seed=0):
    """Three groups in the plane, and the groups."""
    generator = torch.Generator().manual_seed(seed)
    group = torch.randint(3, (count,), generator=generator)
    angle = 2 * math.pi * group / 3
    centre = torch.stack([angle.cos(), angle.sin()], 1)
    return 4 * centre, group, generator


def test_twenty_steps_lower_the_loss_and_the_best_sub_head_finds_a_planted_clustering():
    centre, group, generator = planted()
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(2, 15), nn.Unflatten(-1, (5, 3)), nn.Softmax(-1))
    optimiser = torch.optim.Adam(network.parameters(), 0.05)
    losses = []
    for _ in range(60):
        views = centre + torch.randn(4, len(group), 2, generator=generator)
        p, q = network(views[0]).movedim(-2, 0), network(views[1:]).movedim(-2, 0)
        loss = iic_loss(p, q)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
        losses.append(loss.detach())
    assert losses[20].mean() < losses[0].mean() - 0.1
    best = int(losses[-1].argmin())
    answer = network(centre)[:, best].argmax(1)
    assert len(set(zip(answer.tolist(), group.tolist(), strict=True))) == 3
    assert len(set(answer.tolist())) == 3
    assert losses[-1][best] == pytest.approx(-math.log(3), abs=0.1)
