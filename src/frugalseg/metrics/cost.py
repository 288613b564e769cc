"""The cost of an answer: multiply-adds, seconds by stage, peak memory."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

NOT_COUNTED = (
    "Counted are the multiply-adds of convolutions, matrix products and attention of the networks, "
    "for one image, the same way for every sampler and segmenter. Not counted are decoding the "
    "file, making the thumbnail, turning the network's answer into places of samples (solvers, "
    "blurs, kernel sums), reading the samples from the image (warp), interpolating the answer back "
    "and taking its argmax, and element-wise work: activations, normalisation, pooling, resizing, "
    "additions. The seconds include all of it."
)


def count_multiply_adds(module: nn.Module, *inputs: torch.Tensor) -> int:
    """Multiply-adds of one forward pass, in evaluation mode and without gradients.

    Args:
        module: the network; its training flags are as before afterwards.
        inputs: its inputs, on its device: a batch of one image for the cost of an image.

    Returns:
        Multiply-adds: half of the operations that `torch.utils.flop_counter` counts, which sees
        convolutions, matrix products and attention. `NOT_COUNTED` names what it does not see.
    """
    from torch.utils.flop_counter import FlopCounterMode

    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(*inputs)
    finally:
        for part, flag in training.items():
            part.training = flag
    return int(counter.get_total_flops()) // 2


class StageTimer:
    """Seconds by stage of a pipeline.

    With a CUDA device the clock is read only when the device has finished its work, so that each
    stage bears its own cost.

    >>> timer = StageTimer()
    >>> for _ in range(3):
    ...     with timer("decode"):
    ...         pass
    ...     with timer("segmenter"):
    ...         pass
    >>> list(timer.median())
    ['decode', 'segmenter', 'total']
    """

    def __init__(self, device: torch.device | str | None = None) -> None:
        self._device = torch.device(device) if device is not None else None
        self._seconds: dict[str, list[float]] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time the body as one call of `stage`; nothing is kept if it raises."""
        start = self._clock()
        yield
        self._seconds.setdefault(stage, []).append(self._clock() - start)

    def median(self) -> dict[str, float]:
        """Median seconds of each stage in order of appearance, and their sum: "total"."""
        seconds = {name: float(statistics.median(each)) for name, each in self._seconds.items()}
        return {**seconds, "total": sum(seconds.values())}

    def _clock(self) -> float:
        if self._device is not None and self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def forget_peak_memory(device: torch.device | str = "cpu") -> None:
    """Let :func:`peak_memory_bytes` begin anew, and give freed memory back to the system.

    Args:
        device: whose memory. For the CPU this works on Linux only.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes(device: torch.device | str = "cpu") -> int:
    """Most memory held since :func:`forget_peak_memory`.

    Args:
        device: for a CUDA device, the most that torch had allocated on it; for the CPU, the largest
            resident size of this process, interpreter and libraries included (some hundreds of
            megabytes before the first image). On systems other than Linux it cannot be forgotten,
            and is the largest since the process started.

    Returns:
        Bytes.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
