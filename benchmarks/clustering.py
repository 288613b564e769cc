"""A step of clustering: our loss against the loop over pairs and sub-heads, and the whole step.

The literal loop forms the joint of each transformed view and each sub-head separately, reads the
loss back from the device, and computes the plain view once for each transformed view, as the
published code does. It also measures the time of the views, the loss and the whole step, and one
process against two on the same batch.
"""

import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from benchmarks.timing import compare
from frugalseg.augment.config import PRESETS
from frugalseg.augment.views import plain_view, transformed_views
from frugalseg.iic import iic_loss
from frugalseg.models.backbone import build_backbone
from frugalseg.models.heads import TwoHeadNet

LITERAL = "literal loop over copies and sub-heads"
SMALLEST = 2.220446049250313e-16
IMAGES, COPIES, SUB_HEADS, WIDTH = 140, 5, 5, 16


def literal_loss(p: Tensor, q: Tensor) -> Tensor:
    """Mean loss of ``(S, N, k)`` and ``(S, R, N, k)``, one pair of images at a time."""
    total = p.new_zeros(())
    for s in range(len(p)):
        joint = p.new_zeros(p.shape[-1], p.shape[-1])
        for copy in q[s]:
            for z, other in zip(p[s], copy, strict=True):
                joint = joint + z[:, None] * other[None]
        total = total + _information(joint)
    return total / len(p)


def published_loss(p: Tensor, q: Tensor) -> Tensor:
    """The published code's form: plain views repeated, a joint for each sub-head, read back."""
    total = p.new_zeros(())
    for s in range(len(p)):
        z = p[s].repeat(q.shape[1], 1)
        joint = (z.unsqueeze(2) * q[s].flatten(0, 1).unsqueeze(1)).sum(0)
        total = total + _information(joint)
    return total / len(p)


def _information(joint: Tensor) -> Tensor:
    joint = (joint + joint.T) / 2
    joint = joint / joint.sum()
    rows = joint.sum(1, keepdim=True).expand_as(joint)
    columns = joint.sum(0, keepdim=True).expand_as(joint)
    joint, rows, columns = (x.clamp_min(SMALLEST) for x in (joint, rows, columns))
    loss = -(joint * (joint.log() - rows.log() - columns.log())).sum()
    if not torch.isfinite(loss):  # the read-back
        raise FloatingPointError
    return loss


def assignments(clusters: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(clusters)
    shape = (SUB_HEADS, COPIES + 1, IMAGES, clusters)
    logits = torch.randn(shape, generator=generator).requires_grad_()
    answers = logits.softmax(-1)
    return answers[:, 0], answers[:, 1:]


def _backward(loss: Any, p: Tensor, q: Tensor) -> None:
    p, q = p.detach().requires_grad_(), q.detach().requires_grad_()
    loss(p, q).mean().backward()


def loss_question(clusters: int) -> dict[str, Any]:
    p, q = assignments(clusters)
    setting = f"loss, forward and backward, {IMAGES} images x {COPIES} copies, k={clusters}"
    others = {
        LITERAL: partial(_backward, literal_loss, p, q),
        "as published": partial(_backward, published_loss, p, q),
    }
    row = compare(setting, partial(_backward, iic_loss, p, q), others, rounds=5, warm_up=1)
    difference = (iic_loss(p, q).mean() - literal_loss(p, q)).abs().item()
    return {**row, "largest_difference": difference}


def step_question() -> dict[str, Any]:
    """A whole step: plain views once for all transformed views, against once for each."""
    settings = PRESETS["mnist"]
    torch.manual_seed(0)
    net = TwoHeadNet(build_backbone("vgg-iic", 1, WIDTH), 10, 50, SUB_HEADS)
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    images = torch.randint(0, 256, (IMAGES, 1, 28, 28), dtype=torch.uint8)

    def step(repeat: bool) -> None:
        rng = torch.Generator().manual_seed(0)
        plain = plain_view(images, rng, settings)
        other = net(transformed_views(images, COPIES, rng, settings))
        q = other.unflatten(1, (COPIES, IMAGES))
        p = net(plain.repeat(COPIES, 1, 1, 1))[:, :IMAGES] if repeat else net(plain)
        optimiser.zero_grad()
        loss = published_loss(p, q) if repeat else iic_loss(p, q).mean()
        loss.backward()
        optimiser.step()

    row = compare(
        f"whole step, {IMAGES} images x {COPIES} copies, vgg-iic width {WIDTH}",
        partial(step, False),
        {"plain view once a copy, published loss": partial(step, True)},
        rounds=5,
        warm_up=1,
    )
    views = compare(
        f"views of {IMAGES} images, {1 + COPIES} each",
        lambda: transformed_views(images, 1 + COPIES, torch.Generator().manual_seed(0), settings),
        {},
        rounds=9,
    )
    seconds = row["seconds"]["ours"]["median"]
    return {"step": row, "views": views, "images_a_second": IMAGES / seconds}


def _process(rank: int, world: int, folder: str, steps: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    torch.manual_seed(0)
    net: Any = TwoHeadNet(build_backbone("vgg-iic", 1, WIDTH), 10, 50, SUB_HEADS)
    net.overcluster.requires_grad_(False)
    net = torch.nn.parallel.DistributedDataParallel(net)
    settings = PRESETS["mnist"]
    images = torch.randint(0, 256, (IMAGES // world, 1, 28, 28), dtype=torch.uint8)
    rng = torch.Generator().manual_seed(rank)
    for k in range(steps + 1):
        if k == 1:
            begin = time.perf_counter()
        both = torch.cat(
            [plain_view(images, rng, settings), transformed_views(images, COPIES, rng, settings)]
        )
        answers = net(both).unflatten(1, (1 + COPIES, len(images)))
        net.zero_grad()
        iic_loss(answers[:, 0], answers[:, 1:]).mean().backward()
    if rank == 0:
        Path(folder, "seconds").write_text(str((time.perf_counter() - begin) / steps))
    dist.destroy_process_group()


def process_question(steps: int = 5) -> dict[str, Any]:
    """Seconds of a step on the same batch with one and with two processes of one thread each."""
    seconds = {}
    for world in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            mp.spawn(_process, (world, folder, steps), nprocs=world)
            seconds[world] = float(Path(folder, "seconds").read_text())
    return {
        "setting": f"step of {IMAGES} images, one thread a process, {os.cpu_count()} cores",
        "seconds": {str(world): value for world, value in seconds.items()},
        "speed_up": seconds[1] / seconds[2],
    }


def run() -> dict[str, Any]:
    whole = step_question()
    return {
        "question": "what a step of clustering costs",
        "comparisons": [loss_question(10), loss_question(70), whole["step"]],
        "views": whole["views"],
        "images_a_second": whole["images_a_second"],
        "processes": process_question(),
    }
