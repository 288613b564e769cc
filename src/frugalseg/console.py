"""Log lines and progress bars.

Used as a library, the package is silent. The command line calls :func:`show`; from then on log
lines go to standard error, and progress bars too if it is a terminal.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from frugalseg.errors import printable

Item = TypeVar("Item")

log = logging.getLogger("frugalseg")
log.addHandler(logging.NullHandler())


class _ToStandardError(logging.Handler):
    """Writes to the current standard error; warnings begin with the program's name."""

    def emit(self, record: logging.LogRecord) -> None:
        before = "frugalseg: " if record.levelno >= logging.WARNING else ""
        sys.stderr.write(f"{before}{printable(record.getMessage())}\n")


_handler = _ToStandardError()


def show() -> None:
    """Show log lines and progress from now on, as on the command line."""
    log.setLevel(logging.INFO)
    log.propagate = False
    if _handler not in log.handlers:
        log.addHandler(_handler)


def shows_progress() -> bool:
    """Whether progress bars are drawn: the command line runs, on a terminal."""
    return _handler in log.handlers and sys.stderr.isatty()


def track(
    items: Iterable[Item], unit: str, total: int | None = None, part: bool = False
) -> Iterator[Item]:
    """Loop over items with a progress bar, if progress is shown.

    Args:
        items: to loop over.
        unit: a plural noun for them, such as ``"images"``.
        total: their number, if ``items`` has no length.
        part: whether this is a part of longer work, which has a bar of its own: the bar goes away.
    """
    from tqdm import tqdm

    hidden = not shows_progress()
    bar: Any = tqdm(items, unit=f" {unit}", total=total, leave=not part, disable=hidden)
    yield from bar


@contextmanager
def signals_interrupting() -> Iterator[list[int]]:
    """While it lasts, Ctrl-C and SIGTERM raise KeyboardInterrupt; a second one ends the process.

    Yields:
        A list that holds the signal once it has come.
    """
    received: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only it may catch signals
        yield received
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield received
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
