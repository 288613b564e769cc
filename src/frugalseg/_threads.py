"""Threads for kernels that release Python's global lock.

Numba's own threads are not used: after a fork, as in the workers of a data loader, they end the
process.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch


def parallel_for(work: Callable[[int, int], None], length: int, min_items: int = 1) -> None:
    """Call ``work(first, last)`` over parts of ``range(length)`` on torch's number of threads.

    Args:
        work: handles items ``first`` to ``last - 1``; calls may run at the same time.
        length: number of items.
        min_items: number of items that justify a thread.
    """
    run_tasks(work, split_range(length, min(torch.get_num_threads(), length // min_items)))


def split_range(length: int, parts: int) -> list[tuple[int, int]]:
    """Split ``range(length)`` into ``parts`` (at least one), each a first and a last item + 1."""
    parts = max(1, parts)
    return list(pairwise(length * k // parts for k in range(parts + 1)))


def run_tasks(work: Callable[..., None], tasks: Sequence[tuple[int, ...]]) -> None:
    """Call ``work(*task)`` for each task, on torch's number of threads."""
    threads = min(torch.get_num_threads(), len(tasks))
    if threads <= 1:
        for task in tasks:
            work(*task)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, *task) for task in tasks]:
            done.result()
