"""The images that commands which need no masks take."""

import re
from glob import has_magic
from pathlib import Path

from frugalseg.console import log
from frugalseg.data.images import IMAGE_SUFFIXES
from frugalseg.data.layouts.layout import all_samples, find_images
from frugalseg.errors import FrugalsegError


def list_photographs(root: Path) -> tuple[list[Path], list[str]]:
    """The images of any folder without its masks, sorted, and sentences on what is left out.

    Raises:
        FrugalsegError: as :func:`find_images` does.
    """
    contents = find_images(root)
    return [sample.image for sample in all_samples(root, contents)], contents.notes


def list_images(path: Path | str) -> list[Path]:
    """The images that a file, a folder (with its sub-folders) or a pattern names, sorted.

    What is left out of a folder is said.

    Args:
        path: like `photo.jpg`, `photos/`, `photos/*.jpg` or `photos/**/*.png`.

    Raises:
        FrugalsegError: nothing has this name, or no image has.
    """
    path = Path(path)
    if path.is_dir():
        images, notes = list_photographs(path)
        for note in notes:
            log.warning(note)
    elif path.exists():
        images = [path]
    else:
        start = next((i for i, part in enumerate(path.parts) if has_magic(part)), None)
        matches = set() if start is None else _matches(path, start)
        images = sorted(m for m in matches if m.suffix.lower() in IMAGE_SUFFIXES and m.is_file())
        if not matches:
            raise FrugalsegError(f"{path}: there is no such file or folder.")
    if not images:
        raise FrugalsegError(
            f"{path}: there is no image (looked for {' '.join(sorted(IMAGE_SUFFIXES))})."
        )
    return images


def _matches(pattern: Path, start: int) -> set[Path]:
    """What a pattern names whose first wildcard is in this part, without what is hidden."""
    base, parts = Path(*pattern.parts[:start]), pattern.parts[start:]
    parts = tuple(part if part == "**" else re.sub(r"\*+", "*", part) for part in parts)
    if parts[-1] == "**":
        parts += ("*",)
    # Path.glob follows no links to folders in **, which may lead round for ever
    found = base.glob("/".join(parts))
    return {f for f in found if not any(p.startswith(".") for p in f.relative_to(base).parts)}
