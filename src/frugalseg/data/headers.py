"""Read the headers of images and their masks: sizes, problems, and what is guessed or left out."""

from collections.abc import Sequence
from pathlib import Path

from frugalseg.data.image_file import PAGES, SWAPS_SIDES, ImageHeader, Remark, read_header
from frugalseg.data.images import Size, say_remarks
from frugalseg.data.layouts.samples import Problem, Sample
from frugalseg.errors import FrugalsegError
from frugalseg.files import in_threads

FileRemark = tuple[Path, Remark]
_TURNED = Remark(
    "Masks of images that are turned by their EXIF orientation",
    "do they lie as the turned image, or as it is stored? Sizes cannot tell",
)


def read_sizes(
    samples: Sequence[Sample],
) -> tuple[dict[Path, Size], list[Problem], list[FileRemark]]:
    """Read the headers of images and masks.

    Returns:
        Height and width of each image, by its file; problems with sizes or headers; and what
        reading the files guesses or leaves out.
    """
    measured = list(in_threads(measure, samples))
    pairs = zip(samples, measured, strict=True)
    sizes = {sample.image: size for sample, (size, _, _) in pairs if size is not None}
    problems = [problem for _, problem, _ in measured if problem is not None]
    return sizes, problems, [remark for _, _, remarks in measured for remark in remarks]


def say_of_images(paths: Sequence[Path]) -> None:
    """Log what reading images guesses or leaves out; broken files are passed over."""

    def remarks(path: Path) -> list[FileRemark]:
        try:
            return [(path, remark) for remark in read_header(path).remarks]
        except FrugalsegError:
            return []

    say_remarks(remark for several in in_threads(remarks, paths) for remark in several)


def measure(sample: Sample) -> tuple[Size | None, Problem | None, list[FileRemark]]:
    """Read the headers of an image and its mask.

    Returns:
        The image's size, a problem or None, and remarks.
    """
    try:
        image = read_header(sample.image)
    except FrugalsegError as error:
        return None, Problem("images that cannot be read", str(sample.image), str(error)), []
    remarks = [(sample.image, remark) for remark in image.remarks]
    if sample.mask is None:
        return image.size, None, remarks
    try:
        mask = read_header(sample.mask)
    except FrugalsegError as error:
        problem = Problem("masks that cannot be read", str(sample.mask), str(error))
        return image.size, problem, remarks
    remarks += [(sample.mask, PAGES)] * (PAGES in mask.remarks)
    if image.size == mask.size:
        if _may_be_turned(image, mask):
            remarks.append((sample.mask, _TURNED))
        return image.size, None, remarks
    text = (
        f"its mask has {mask.size[0]}x{mask.size[1]} pixels, the image "
        f"{image.size[0]}x{image.size[1]} (rows x columns)"
    )
    if image.size == mask.size[::-1]:
        text += "; the image may be turned by its EXIF orientation and the mask not"
    problem = Problem("images and masks of different size", str(sample.image), text)
    return image.size, problem, remarks


def _may_be_turned(image: ImageHeader, mask: ImageHeader) -> bool:
    """Whether a mask may lie as its image is stored, though it has the size of the turned image."""
    square = image.size[0] == image.size[1]
    same_sides = (image.orientation in SWAPS_SIDES) == (mask.orientation in SWAPS_SIDES)
    return image.orientation != mask.orientation and (square or same_sides)
