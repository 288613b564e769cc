"""Threads for kernels that let go of Python's lock.

Numba's own threads are not used: after a fork, as in a loader's workers, they end the process.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch


def in_parts(work: Callable[[int, int], None], length: int, least: int = 1) -> None:
    """Call ``work(first, last)`` over parts of ``range(length)`` on torch's number of threads.

    Args:
        work: does items ``first`` to ``last - 1``; calls may run at the same time.
        length: number of items.
        least: items that are worth a thread of their own.
    """
    parts = max(1, min(torch.get_num_threads(), length // least))
    if parts == 1:
        work(0, length)
        return
    edges = [length * k // parts for k in range(parts + 1)]
    with ThreadPoolExecutor(parts) as pool:
        for done in [pool.submit(work, a, b) for a, b in pairwise(edges)]:
            done.result()
