"""The one exception for what a user can mend."""

import contextlib
import errno
import sys
from collections.abc import Iterator


class FrugalsegError(Exception):
    """Something the user can mend: what is wrong, where, and what to do, in a sentence or two.

    The command line prints the text without a traceback and exits with 2. Any other exception is a
    bug of ours and shows its traceback.
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


def what_the_system_refused(error: OSError) -> str | None:
    """A sentence of the same kind for what the system says of a file.

    Args:
        error: such as of a folder that may not be entered: where it lies in such a folder, even
            asking whether there is a file fails.

    Returns:
        The sentence; None for an error that names no file or is no refusal: a bug of ours.
    """
    if error.filename is None or error.errno not in _REFUSALS:
        return None
    what = "written" if error.errno in _FULL else "used"
    return f"{error.filename} cannot be {what} ({error.strerror})."


@contextlib.contextmanager
def ending_in_a_sentence(*more: type[Exception]) -> Iterator[None]:
    """For a command line: what the user can mend is one sentence and exit code 2.

    Args:
        more: further errors whose text is such a sentence.
    """
    mendable: tuple[type[Exception], ...] = (FrugalsegError, *more)
    try:
        yield
    except mendable as error:
        said = " ".join(str(error).split())
    except OSError as error:
        refused = what_the_system_refused(error)
        if refused is None:
            raise
        said = refused
    else:
        return
    sys.stderr.write(f"frugalseg: {said}\n")
    sys.exit(2)
