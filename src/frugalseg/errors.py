"""The exception for errors that a user can fix."""

import contextlib
import errno
import sys
from collections.abc import Iterator


class FrugalsegError(Exception):
    """An error that the user can fix: what is wrong, where, and what to do, in a sentence or two.

    The command line prints the text without a traceback and exits with code 2. Any other exception
    is a bug of ours and shows its traceback.
    """


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EIO,
    *_FULL,
)


def printable(text: str) -> str:
    """A text for a terminal: what a name may hold to steer or confuse it is shown as an escape."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def what_the_system_refused(error: OSError) -> str | None:
    """A sentence for the user about a file that the system refuses to open or write.

    Args:
        error: for example about a folder without permission to enter; even asking whether a file
            in it exists then fails.

    Returns:
        The sentence; None if the error names no file or is not a refusal: a bug of ours.
    """
    if error.filename is None or error.errno not in _REFUSALS:
        return None
    what = "written" if error.errno in _FULL else "used"
    return f"{error.filename} cannot be {what} ({error.strerror})."


@contextlib.contextmanager
def ending_in_a_sentence(*more: type[Exception]) -> Iterator[None]:
    """For a command line: turn an error that the user can fix into one sentence and exit code 2.

    Args:
        more: further exceptions whose text is such a sentence.
    """
    caught: tuple[type[Exception], ...] = (FrugalsegError, OSError, *more)
    try:
        yield
    except caught as error:
        sentence: str | None = str(error)
        if isinstance(error, OSError):
            sentence = what_the_system_refused(error)
        if sentence is None:
            raise
        sys.stderr.write(f"frugalseg: {printable(' '.join(sentence.split()))}\n")
        sys.exit(2)
