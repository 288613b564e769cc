"""Pair the names of images with those of their masks."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from difflib import SequenceMatcher

# how label images are called that lie among photographs: a_mask, a_gtFine_labelIds, gt_a
_LABEL_NAME = re.compile(
    r"(?i)(?:gt|mask|label)[_-](?P<after>.+)|"
    r"(?P<before>.+?)(?:[_-]gt(?:fine|coarse))?"
    r"[_-](?:masks?|labels?|gt|labelids|labeltrainids|instanceids|color)"
)
_PREFERRED = "labelids"


@dataclass(frozen=True)
class Pairing:
    """Which mask belongs to which image.

    Attributes:
        masks: name of the mask by that of the image.
        example: an image and its mask whose names differ by constant parts; None if all are equal.
        affixes: what the masks' names have before and after the part that is also in the images'.
        rivals: masks of one image between which nothing decides.
    """

    masks: dict[str, str]
    example: tuple[str, str] | None = None
    affixes: tuple[str, str] = ("", "")
    rivals: tuple[str, ...] = ()


def pair_names(images: Collection[str], masks: Collection[str]) -> Pairing:
    """Pair names that are equal; if none are, names that differ by constant parts.

    The constant parts stand before or after a part that both names have, like ``1_sat`` and
    ``1_mask``, and must pair all images with a mask each, or all masks with an image each. A single
    name must have a word for masks.

    Args:
        images: paths without suffixes, below the folder of the images.
        masks: the same of the masks; images and masks must lie in the same sub-folders.
    """
    equal = {name: name for name in images if name in masks}
    fewer, more = (images, masks) if len(images) <= len(masks) else (masks, images)
    if equal or not fewer:
        return Pairing(equal)
    found: dict[str, tuple[dict[str, str], tuple[str, str]]] = {}
    first = min(fewer)
    folder = _split(first)[0]
    for parts in {p for other in more if _split(other)[0] == folder for p in _parts(first, other)}:
        pairs = _replace(fewer, more, parts)
        if pairs is not None:
            found[pairs[first]] = pairs, parts[2:] if fewer is images else parts[:2]
    if len(fewer) == 1:  # whose constant part nothing confirms but a word for masks
        found = {last: f for last, f in found.items() if _says_mask(first, last, fewer is images)}
    preferred = [name for name in found if name.lower().endswith(_PREFERRED)]
    if len(found) != 1 and len(preferred) != 1:
        return Pairing({}, rivals=tuple(sorted(found)))
    pairs, affixes = found[preferred[0] if preferred else next(iter(found))]
    if fewer is masks:
        pairs = {image: mask for mask, image in pairs.items()}
    return Pairing(pairs, min(pairs.items()), affixes)


def label_of(name: str) -> str | None:
    """What an image's name begins or ends with if this one names its mask; None if it does not."""
    match = _LABEL_NAME.fullmatch(name)
    return (match["after"] or match["before"]) if match else None


def _says_mask(name: str, other: str, is_image: bool) -> bool:
    """Whether one of two names is the other's, with a word for masks."""
    image, mask = (name, other) if is_image else (other, name)
    core = label_of(_split(mask)[1])
    return core is not None and _split(image)[1].startswith(core)


def _split(name: str) -> tuple[str, str]:
    """The folder with its slash, and the last part."""
    folder, slash, last = name.rpartition("/")
    return folder + slash, last


def _parts(one: str, other: str) -> list[tuple[str, str, str, str]]:
    """What two names may have before and after a common part: of the one, then of the other."""
    a, b = _split(one)[1], _split(other)[1]
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    parts = [
        (a[: block.a], a[block.a + block.size :], b[: block.b], b[block.b + block.size :])
        for block in blocks
        if block.size
    ]
    # digits alone are no marks: 1 and 11 are two numbers
    return [each for each in parts if any(c.isalpha() for part in each for c in part)]


def _replace(
    names: Collection[str], others: Collection[str], parts: tuple[str, str, str, str]
) -> dict[str, str] | None:
    """The other name of each name, made by replacing constant parts; None if one is missing."""
    before, after, new_before, new_after = parts
    pairs = {}
    for name in names:
        folder, last = _split(name)
        core = last.removeprefix(before).removesuffix(after)
        other = folder + new_before + core + new_after
        if not core or before + core + after != last or other not in others:
            return None
        pairs[name] = other
    return pairs
