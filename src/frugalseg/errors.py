"""The one exception for what a user can mend."""


class FrugalsegError(Exception):
    """Something the user can mend: what is wrong, where, and what to do, in a sentence or two.

    The command line prints the text without a traceback and exits with 2. Any other exception is a
    bug of ours and shows its traceback.
    """
