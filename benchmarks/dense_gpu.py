"""The dense loss on a GPU: time, memory and the largest batch, against the published convolution.

`python -m benchmarks.dense_gpu FILE` writes the result to FILE. Times include waiting for the
device; memory is the peak during a call minus the memory allocated before it. The largest batch is
found by doubling, then halving the gap to within a tenth; running out of memory is caught.
Convolutions are timed in float32, as ours is, and in TF32, torch's default, which is less exact.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.dense import (
    PUBLISHED,
    SETTINGS,
    Loss,
    agreement,
    assignments,
    our_loss,
    published_loss,
    step,
)
from benchmarks.timing import compare
from frugalseg.engine.results import environment
from frugalseg.files import write_json
from frugalseg.iic import displaced_joint
from frugalseg.iic._displaced import Problem, choose

TF32 = f"{PUBLISHED}, TF32"
LOSSES: dict[str, Loss] = {"ours": our_loss, PUBLISHED: published_loss}
LARGEST_AT = (15, 128, 10)  # k, pixels a side, d
SECONDS_A_SEARCH = 12
FORCED = ((16, 15, 128, 0), (16, 15, 128, 1), (16, 15, 128, 2), (16, 15, 128, 4), (16, 15, 128, 10))


def _waited(loss: Loss, p: Tensor, q: Tensor, d: int, kept: dict[str, Any] | None = None) -> None:
    step(loss, p, q, d, kept)
    torch.cuda.synchronize()


def _in_tf32(loss: Loss, p: Tensor, q: Tensor, d: int) -> None:
    torch.backends.cudnn.allow_tf32 = True
    _waited(loss, p, q, d)
    torch.backends.cudnn.allow_tf32 = False


def _memory(loss: Loss, p: Tensor, q: Tensor, d: int) -> int:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _waited(loss, p, q, d)
    return torch.cuda.max_memory_allocated() - before


def loss_question(setting: tuple[int, int, int, int]) -> dict[str, Any]:
    n, k, side, d = setting
    p, q = assignments(n, k, side, "cuda")
    answers: dict[str, dict[str, Any]] = {name: {} for name in LOSSES}
    for name, loss in LOSSES.items():
        _waited(loss, p, q, d, answers[name])
    begin = time.perf_counter()
    _waited(published_loss, p, q, d)
    rounds = max(1, min(9, int(2 / (time.perf_counter() - begin))))
    row = compare(
        f"GPU, loss, forward and backward, n={n}, k={k}, {side} x {side}, d={d}",
        partial(_waited, our_loss, p, q, d),
        {
            PUBLISHED: partial(_waited, published_loss, p, q, d),
            TF32: partial(_in_tf32, published_loss, p, q, d),
        },
        rounds=rounds,
        warm_up=1,
    )
    row["relative_difference"] = agreement(answers["ours"], answers[PUBLISHED])
    row["maps_bytes"] = 2 * p.numel() * p.element_size()
    row["extra_memory_bytes"] = {name: _memory(f, p, q, d) for name, f in LOSSES.items()}
    return row


def largest_batch(loss: Loss) -> dict[str, Any]:
    """Most images of a step that fit; "stopped" if time ran out before memory did."""
    k, side, d = LARGEST_AT
    begin = time.perf_counter()
    fits, fails, n, last = 0, None, 16, 0.0
    while fails is None or fails - fits > max(1, fits // 10):
        if time.perf_counter() - begin + 2 * last > SECONDS_A_SEARCH:
            return {"images": fits, "stopped": True, "seconds_of_the_last_step": last}
        torch.cuda.empty_cache()
        try:
            p, q = (torch.rand(n, k, side, side, device="cuda") for _ in "pq")
            for maps in (p, q):  # made in place: making them must not take more than the step
                maps.div_(maps.sum(1, keepdim=True)).requires_grad_()
            start = time.perf_counter()
            _waited(loss, p, q, d)
            fits, last = n, time.perf_counter() - start
        except (torch.OutOfMemoryError, RuntimeError) as error:
            # convolutions raise other errors too if indices or work space run out
            fails, reason = n, str(error).splitlines()[0]
        p = q = None  # type: ignore[assignment]
        n = 2 * fits if fails is None else (fits + fails) // 2
    return {"images": fits, "too_many": fails, "reason": reason, "seconds_of_the_last_step": last}


def _counts(method: str, p: Tensor, q: Tensor, d: int) -> None:
    counts = displaced_joint(p, q, d, method=method)
    torch.autograd.grad(counts, (p, q), torch.ones_like(counts))
    torch.cuda.synchronize()


def rule() -> list[dict[str, Any]]:
    """Seconds of counts and gradients by each method, the least of three, and the chosen one."""
    rows = []
    for n, k, side, d in FORCED:
        p, q = assignments(n, k, side, "cuda")
        seconds = {}
        for method in ("shifts", "fft"):
            taken = []
            for _ in range(4):
                begin = time.perf_counter()
                _counts(method, p, q, d)
                taken.append(time.perf_counter() - begin)
            seconds[method] = min(taken[1:])
        chosen = choose(Problem(p, q, None, d))
        setting = f"n={n}, k={k}, {side} x {side}, d={d}"
        rows.append({"setting": setting, "seconds": seconds, "chosen": chosen})
    return rows


def run() -> dict[str, Any] | None:
    if not torch.cuda.is_available():
        print("no GPU here: nothing is measured")
        return None
    torch.backends.cudnn.allow_tf32 = False
    k, side, d = LARGEST_AT
    return {
        "question": "what the dense loss costs on a GPU, and which batch fits",
        "comparisons": [loss_question(setting) for setting in SETTINGS],
        "rule": rule(),
        "largest_batch": {
            "setting": f"k={k}, {side} x {side}, d={d}",
            **{name: largest_batch(loss) for name, loss in LOSSES.items()},
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dense_gpu", description=__doc__)
    parser.add_argument("file", type=Path, help="where the answer is written (JSON)")
    path = parser.parse_args().file
    answer = run()
    if answer is not None:
        result = {"benchmark": "dense_gpu", "environment": environment(), **answer}
        write_json(result, path)


if __name__ == "__main__":
    main()
