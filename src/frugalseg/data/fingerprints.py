"""What a training learns from, in short: enough to say that it has changed since."""

import zlib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.image_set import ImageSet
from frugalseg.data.layouts.samples import Sample
from frugalseg.files import in_threads

AnyData = ImageMaskFolder | ImageSet
_SHOWN = 6  # class names in a sentence
_ENDS = 4096  # bytes read at the beginning and at the end of a file


def fingerprint(data: AnyData) -> dict[str, Any]:
    """Describe the data of a training; of large files the beginning and the end are read alone.

    Args:
        data: the open data.

    Returns:
        Plain values for JSON: "classes", each in words, in their order, and "images", for each name
        its splits, size, content and label or mask, in words.
    """
    if isinstance(data, ImageSet):
        return {"classes": list(data.class_names), "images": _of_set(data)}
    listed = data.class_list
    ids = frozenset() if listed is None else listed.ignored_ids
    classes = [
        f"{c.name} (id {c.id}{', a target' * c.target}{', ignored' * (c.id in ids)})"
        for c in (() if listed is None else listed.classes)
    ]
    return {"classes": classes, "images": _of_folder(data)}


def _of_folder(data: ImageMaskFolder) -> dict[str, str]:
    splits: dict[Path, str] = {}
    for split, samples in data.splits.items():  # a split such as "all" overlaps with the others
        splits |= {s.image: f"{splits.get(s.image, '')}{split}, " for s in samples}

    def words(sample: Sample) -> str:
        size = "x".join(map(str, data.sizes[sample.image]))
        mask = "" if sample.mask is None else f", mask of {_content(sample.mask)}"
        return f"{splits[sample.image]}{size}, {_content(sample.image)}{mask}"

    paths = [sample.image for sample in data.samples]  # which may lie elsewhere
    names = [(p.relative_to(data.root) if p.is_relative_to(data.root) else p) for p in paths]
    described = in_threads(words, data.samples)
    return {path.as_posix(): text for path, text in zip(names, described, strict=True)}


def _content(path: Path) -> str:
    """The size of a file, and a checksum of its ends: that of a PNG's pixels lies at the end."""
    with path.open("rb") as file:
        size, checksum = path.stat().st_size, zlib.crc32(file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        return f"{size} bytes ({zlib.crc32(file.read(), checksum):08x})"


def _of_set(data: ImageSet) -> dict[str, str]:
    splits: dict[int, str] = {}
    for split, indices in data.splits.items():
        splits |= {i: f"{splits.get(i, '')}{split}, " for i in indices.tolist()}
    images = {}
    for i, (name, size) in enumerate(zip(data.names, data.sizes.tolist(), strict=True)):
        words = [splits[i] + "x".join(map(str, size))]
        if data.digests:
            words.append(f"content {data.digests[i].hex()[:8]}")
        if data.labels is not None and data.labels[i] >= 0:
            words.append(f"label {data.class_names[data.labels[i]]}")
        images[name] = ", ".join(words)
    return images


def difference(begun: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Say what has changed between two fingerprints, after "was begun with"; None if nothing has.

    Args:
        begun: the older fingerprint.
        now: the newer one.
    """
    if begun["classes"] != now["classes"]:
        old, new = _first_different(begun["classes"], now["classes"])
        return f"the classes {old}; the data now have {new}"
    old, new = begun["images"], now["images"]
    words = {
        "new": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
    }
    if words["new"] or words["gone"]:
        few = "; ".join(f"{word}: {_few(names)}" for word, names in words.items() if names)
        return f"{len(old)} images; the data now have {len(new)} ({few})"
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        first = changed[0]
        return f"other contents of {_few(changed)} ({old[first]} then, {new[first]} now)"
    return None


def _first_different(old: Sequence[str], new: Sequence[str]) -> tuple[str, str]:
    """Both lists in words; long ones begin with the last entry that they share."""
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))
    start = max(0, same - 1) if max(len(old), len(new)) > _SHOWN else 0
    texts = []
    for names in (old, new):
        shown = list(names[start : start + _SHOWN])
        more = ["..."] if len(names) > start + _SHOWN else []
        texts.append(", ".join((["..."] if start else []) + shown + more) or "none")
    return texts[0], texts[1]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return ", ".join(names[:2]) + more
