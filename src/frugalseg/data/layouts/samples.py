"""An image with its mask, what a folder of them holds, and what may be wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from frugalseg.errors import FrugalsegError

NO_MASK = "images without a mask"


@dataclass(frozen=True)
class Sample:
    """An image and its mask; `name` is its path below the images' folder without the suffix."""

    name: str
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Problem:
    """Something wrong with one file: `kind` is a short heading, `text` says how to mend it."""

    kind: str
    file: str
    text: str

    @property
    def sentence(self) -> str:
        """The text with the file's name in it."""
        return self.text if self.file in self.text else f"{self.file}: {self.text}"


@dataclass
class FolderContents:
    """What a folder holds: samples by split (under `""` if none is given), and what is wrong.

    Attributes:
        splits: images with a mask.
        lone: images without a mask; they are listed as problems too.
        unlisted: images that the lists of the splits leave out.
        problems: files without a partner, and names listed wrongly.
        notes: sentences on what was guessed or left out.
        has_layout: whether the folder has a layout of images and masks; if not, it holds images
            alone.
    """

    splits: dict[str, list[Sample]] = field(default_factory=dict)
    lone: dict[str, list[Sample]] = field(default_factory=dict)
    unlisted: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_layout: bool = True

    @property
    def paired(self) -> list[Sample]:
        """All images with a mask."""
        return [sample for samples in self.splits.values() for sample in samples]


def raise_problems(root: Path, problems: Sequence[Problem], notes: Sequence[str] = ()) -> None:
    """Refuse problems with a sentence on the first kind: how many files, which, what to do.

    Args:
        root: the folder.
        problems: those that were found; if there are none, nothing is raised.
        notes: sentences that may explain them.
    """
    if not problems:
        return
    kind = problems[0].kind
    same = [p for p in problems if p.kind == kind]
    if len(same) == 1:
        raise FrugalsegError(" ".join([f"{same[0].sentence.rstrip('.')}.", *notes]))
    names = ", ".join(Path(p.file).name for p in same[:3])
    raise FrugalsegError(
        f"{root}: {len(same)} {kind}: {names}{', ...' if len(same) > 3 else ''}. "
        + " ".join([f"The first: {same[0].text.rstrip('.')}.", *notes])
    )
