"""Work done by two processes of a gloo group, for tests of what crosses processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from frugalseg.iic import accumulate_iic, iic_loss, iic_segmentation_loss


def _worker(rank: int, world: int, folder: str, work: Callable[..., Any], inputs: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    try:
        torch.save(work(rank, world, inputs), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def run_in_processes(work: Callable[..., Any], inputs: Any, folder: Path, world: int = 2) -> list:
    """Answers of ``work(rank, world, inputs)`` by rank."""
    mp.spawn(_worker, (world, str(folder), work, inputs), nprocs=world)
    return [torch.load(folder / f"{rank}.pt") for rank in range(world)]


def losses_and_gradients(rank: int, world: int, inputs: Any) -> Any:
    """Of a linear network on this process's images: at once, and in parts of 3 images.

    Gradients are averaged over the processes, as DistributedDataParallel does.
    """
    images, transformed, weight = inputs
    images = images.chunk(world)[rank]
    transformed = transformed.chunk(world, 1)[rank]

    def views(part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        heads = lambda x: torch.einsum("...nd,sdk->s...nk", x, weight).softmax(-1)  # noqa: E731
        return heads(images[part]), heads(transformed[:, part])

    answers = []
    for parts in ([slice(None)], [slice(i, i + 3) for i in range(0, len(images), 3)]):
        weight = weight.detach().clone().requires_grad_()
        if len(parts) == 1:
            losses = iic_loss(*views(parts[0]), 1.2)
            losses.mean().backward()
        else:
            losses = accumulate_iic(views, parts, 1.2)
        gradient = weight.grad
        dist.all_reduce(gradient)
        answers.append((losses.detach(), gradient / world))
    return answers


def dense_loss_and_gradient(rank: int, world: int, inputs: Any) -> Any:
    """Of both dense losses of a 1x1 convolution on this process's images.

    Gradients are averaged over the processes, as DistributedDataParallel does.
    """
    images, others, valid, weight = inputs
    images, others, valid = (a.chunk(world)[rank] for a in (images, others, valid))
    answers = []
    for per_displacement in (True, False):
        own = weight.detach().clone().requires_grad_()
        p, q = (torch.einsum("nchw,kc->nkhw", x, own).softmax(1) for x in (images, others))
        loss = iic_segmentation_loss(p, q, valid, 2, 1.2, per_displacement)
        loss.backward()
        gradient = own.grad
        if world > 1:
            dist.all_reduce(gradient)
        answers.append((loss.detach(), gradient / world))
    return answers


def measures_of_the_main_process(rank: int, world: int, inputs: Any) -> Any:
    """What a task measures where no other process does, as in a training."""
    return inputs.measures() if rank == 0 else None
