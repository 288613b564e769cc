"""Registries of things chosen by name, and helpful refusals of unknown names."""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from frugalseg.errors import FrugalsegError


class Registry(Mapping[str, Any]):
    """A mapping from names to objects, which are imported when first used.

    Listing the names imports nothing, so that ``--help`` can show them at once.

    Args:
        kind: a singular noun for the entries, such as ``"sampler"``.
        entries: for each name ``"package.module:attribute"``, or the object itself.
    """

    def __init__(self, kind: str, entries: Mapping[str, Any]) -> None:
        self.kind, self._entries = kind, dict(entries)

    def __getitem__(self, name: str) -> Any:
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = import_object(entry)
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, name: str, entry: Any) -> None:
        """Add your own entry, for this process.

        Raises:
            FrugalsegError: the name is taken.
        """
        if name in self._entries:
            raise FrugalsegError(f"There is a {self.kind} {name!r} already: choose another name.")
        self._entries[name] = entry

    def find(self, name: str) -> Any:
        """The entry of a name.

        Raises:
            FrugalsegError: there is none; the message suggests the nearest name.
        """
        if name not in self._entries:
            raise FrugalsegError(
                f"There is no {self.kind} {name!r}{did_you_mean(name, self)}: "
                f"choose among {', '.join(self)}."
            )
        return self[name]


def import_object(place: str) -> Any:
    """The object at ``"package.module:attribute"``."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``" (did you mean 'unet'?)"`` if a known name is spelt like ``name``, else nothing."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def refuse_unknown_options(owner: str, options: Iterable[str], known: Collection[str]) -> None:
    """Refuse options that do not exist.

    Args:
        owner: the owner of the options, such as ``"The segmenter 'unet'"``.
        options: the names to check.
        known: the names that exist.

    Raises:
        FrugalsegError: an option is unknown; the message suggests the nearest known one.
    """
    for option in options:
        if option not in known:
            names = f"Known: {', '.join(sorted(known))}." if known else "It has none at all."
            raise FrugalsegError(
                f"{owner} has no option {option!r}{did_you_mean(option, known)}. {names}"
            )
