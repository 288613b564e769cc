"""The dense loss, forward and backward, against the published convolution: time and memory.

The published form convolves the maps of one view with those of the other as a kernel as large as
the image. Every time is that of the whole loss and of the gradients of both views' maps.

Memory is the growth of the process from just before a step to its highest point, gradients
included; before it, freed memory is given back to the system.

As the published form takes minutes, it is run three times at the first setting and once at the
others, without a warm-up call, and its memory is that of a timed call.
"""

import ctypes
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import compare
from experiments.panels import Line, Panel, draw_panels
from frugalseg.iic import displaced_joint, iic_segmentation_loss
from frugalseg.iic._displaced import METHODS, Problem, choose

SETTINGS = ((16, 15, 128, 10), (32, 24, 128, 10), (16, 36, 200, 5))  # n, k, pixels a side, d
TARGETS = (20, 20, 10)
PUBLISHED = "published convolution"
BASE = (2, 15, 128, 10)
GROWTH = {"d": (0, 1, 2, 5, 10, 20), "k": (3, 6, 15, 24), "n": (1, 2, 4)}
FORCED = (
    (16, 15, 128, 0), (16, 15, 128, 1), (16, 15, 128, 2), (4, 15, 128, 5), (2, 15, 128, 10),
    (2, 36, 200, 1), (8, 3, 32, 2), (8, 3, 16, 1), (1, 3, 64, 21),
)  # fmt: skip
SMALLEST = 2.220446049250313e-16

Loss = Callable[[Tensor, Tensor, int], Tensor]


def published_loss(p: Tensor, q: Tensor, d: int) -> Tensor:
    """The published code's uncollapsed loss at weight 1."""
    p, q = (x.permute(1, 0, 2, 3).contiguous() for x in (p, q))  # k, n, H, W
    joint = torch.nn.functional.conv2d(p, weight=q, padding=(d, d)).permute(2, 3, 0, 1)
    joint = joint / joint.sum((2, 3), keepdim=True)
    joint = (joint + joint.transpose(2, 3)) / 2
    rows = joint.sum(2, keepdim=True).expand_as(joint)
    columns = joint.sum(3, keepdim=True).expand_as(joint)
    joint, rows, columns = (x.clamp_min(SMALLEST) for x in (joint, rows, columns))
    return -(joint * (joint.log() - rows.log() - columns.log())).sum() / joint.shape[0] ** 2


def our_loss(p: Tensor, q: Tensor, d: int) -> Tensor:
    return iic_segmentation_loss(p, q, max_displacement=d)


def assignments(n: int, k: int, side: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Maps of two views that agree in part, in patches of 8 pixels."""
    generator = torch.Generator(device).manual_seed(n * k)
    shape = n, k, -(-side // 8), -(-side // 8)
    common = 2 * torch.randn(shape, generator=generator, device=device)
    views = []
    for _ in "pq":
        own = torch.randn(n, k, side, side, generator=generator, device=device)
        patches = torch.nn.functional.interpolate(common, scale_factor=8)[..., :side, :side]
        views.append(own.add_(patches).softmax(1))
    return views[0].requires_grad_(), views[1].requires_grad_()


def step(loss: Loss, p: Tensor, q: Tensor, d: int, kept: dict[str, Any] | None = None) -> None:
    """Loss and gradients, as a training step makes them."""
    value = loss(p, q, d)
    gradients = torch.autograd.grad(value, (p, q))
    if kept is not None:
        kept["value"], kept["gradients"] = value.item(), gradients


def agreement(ours: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """Largest differences, relative to the loss and to the largest entry of the gradient."""
    pairs = list(zip(ours["gradients"], other["gradients"], strict=True))
    return {
        "value": abs(ours["value"] - other["value"]) / abs(other["value"]),
        "gradient": max(((a - b).abs().max() / b.abs().max()).item() for a, b in pairs),
    }


def loss_question(setting: tuple[int, int, int, int], target: float, rounds: int) -> dict[str, Any]:
    n, k, side, d = setting
    p, q = assignments(n, k, side)
    ours: dict[str, Any] = {}
    other: dict[str, Any] = {}
    for _ in range(2):
        step(our_loss, p, q, d)
    measured_step(our_loss, p, q, d, ours)
    row = compare(
        f"loss, forward and backward, n={n}, k={k}, {side} x {side}, d={d}",
        partial(step, our_loss, p, q, d),
        {PUBLISHED: partial(measured_step, published_loss, p, q, d, other)},
        rounds=rounds,
        warm_up=0,
        target={PUBLISHED: target},
    )
    # the other takes seconds, so it runs seldom; ours is timed more often here
    row["least_seconds_of_ours_alone"] = least_of(partial(step, our_loss, p, q, d), 7)
    row["relative_difference"] = agreement(ours, other)
    row["maps_bytes"] = 2 * p.numel() * p.element_size()
    row["extra_memory_bytes"] = {"ours": ours["memory"], PUBLISHED: other["memory"]}
    print(row["setting"], row["relative_difference"], row["extra_memory_bytes"], flush=True)
    return row


def measured_step(loss: Loss, p: Tensor, q: Tensor, d: int, kept: dict[str, Any]) -> None:
    """A step that also stores the largest growth of the process's memory, in bytes."""
    kept.clear()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest point so far
    before = _status("VmRSS")
    step(loss, p, q, d, kept)
    kept["memory"] = _status("VmHWM") - before


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


def least_of(call: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return min(taken)


def growth() -> dict[str, list[dict[str, Any]]]:
    """Seconds as d, k or n grows, the others as in ``BASE``."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for name, values in GROWTH.items():
        curves[name] = []
        for value in values:
            setting = dict(zip(("n", "k", "side", "d"), BASE, strict=True)) | {name: value}
            p, q = assignments(setting["n"], setting["k"], setting["side"])
            d = setting["d"]
            step(our_loss, p, q, d)
            point = {"ours": least_of(partial(step, our_loss, p, q, d), 5)}
            if value <= BASE[3] or name != "d":  # the published form at d = 20 takes long
                point["published"] = least_of(partial(step, published_loss, p, q, d), 1)
            curves[name].append({**setting, "seconds": point})
    return curves


def draw(result: dict[str, Any], path: Path) -> None:
    """The growth as curves: seconds of ours and of the published form."""
    panels = []
    across = {"d": "displacement d", "k": "clusters k", "n": "images n"}
    for name, rows in result["growth"].items():
        lines = []
        for key, title in (("ours", "ours"), ("published", "published")):
            known = [row for row in rows if key in row["seconds"]]
            seconds = [row["seconds"][key] for row in known]
            lines.append(Line(title, [row[name] for row in known], seconds))
        panels.append(Panel(across[name], lines, by_factors=False))
    draw_panels(panels, "seconds, forward and backward", path)


def _counts(method: str, p: Tensor, q: Tensor, d: int) -> None:
    counts = displaced_joint(p, q, d, method=method)
    torch.autograd.grad(counts, (p, q), torch.ones_like(counts))


def rule() -> list[dict[str, Any]]:
    """Seconds of counts and gradients by each method that can be used, and the chosen one."""
    rows = []
    for n, k, side, d in FORCED:
        p, q = assignments(n, k, side)
        problem = Problem(p, q, None, d)
        seconds = {}
        for method in METHODS:
            try:
                _counts(method, p, q, d)
            except ValueError:  # the displacement is too large for tiles
                continue
            seconds[method] = least_of(partial(_counts, method, p, q, d), 3)
        chosen = choose(problem)
        rows.append(
            {
                "setting": f"n={n}, k={k}, {side} x {side}, d={d}",
                "seconds": seconds,
                "chosen": chosen,
                "over_the_fastest": seconds[chosen] / min(seconds.values()),
            }
        )
    return rows


def run() -> dict[str, Any]:
    result = {
        "question": "what the dense loss costs, against a convolution with maps as its kernel",
        "rule": rule(),
        "growth": growth(),
    }
    for row in result["rule"]:
        times = ", ".join(f"{name} {1e3 * s:.1f} ms" for name, s in row["seconds"].items())
        print(f"{row['setting']}: {times}; chosen: {row['chosen']}", flush=True)
    rounds = (3, 1, 1)
    rows = [loss_question(*each) for each in zip(SETTINGS, TARGETS, rounds, strict=True)]
    return {**result, "comparisons": rows}
