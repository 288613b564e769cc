"""The one exception for what a user can mend."""

import errno


class FrugalsegError(Exception):
    """Something the user can mend: what is wrong, where, and what to do, in a sentence or two.

    The command line prints the text without a traceback and exits with 2. Any other exception is a
    bug of ours and shows its traceback.
    """


def what_the_system_refused(error: OSError) -> str:
    """A sentence of the same kind for what the system says of a file.

    Args:
        error: one that names its file, such as of a folder that may not be entered: where it lies
            in such a folder, even asking whether there is a file fails.
    """
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return f"{error.filename} cannot be {'written' if full else 'read'} ({error.strerror})."
