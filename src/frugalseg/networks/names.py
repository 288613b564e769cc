"""Names that are not known: the nearest one is offered, everywhere alike."""

import difflib
from collections.abc import Collection, Iterable

from frugalseg.errors import FrugalsegError


def suggestion(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'unet'?)"`` where something known is spelt like ``name``, else nothing."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def refuse_unknown_options(of: str, options: Iterable[str], known: Collection[str]) -> None:
    """Name the first option that there is not.

    Args:
        of: whose options they are, such as ``"The segmenter 'unet'"``.
        options: names that are given.
        known: names that there are.

    Raises:
        FrugalsegError: one is not known; the nearest that is, is offered.
    """
    for option in options:
        if option not in known:
            there = f"Known: {', '.join(sorted(known))}." if known else "It has none at all."
            raise FrugalsegError(
                f"{of} has no option {option!r}{suggestion(option, known)}. {there}"
            )
