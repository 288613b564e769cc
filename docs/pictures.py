"""The pictures of these pages: `python docs/pictures.py` writes them beside this file.

All show one generated street whose true boundaries are known, so they show what placing the samples
does, not how well a network has learned to place them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from frugalseg.demo.scenes import SCENE_CLASSES, generate_scene
from frugalseg.models.samplers import default_thumbnail
from frugalseg.reports.images import Picture, colour_labels
from frugalseg.sampling import (
    boundary_density,
    boundary_sampling,
    equal_density_sampling,
    folded_cells,
    interpolate_argmax,
    relative_density,
    sample_labels,
    sample_pixels,
    uniform_sampling,
)
from frugalseg.tasks.segment.blend import ceiling_confusion, ceilings

HERE = Path(__file__).parent
SEED = 2
POINTS = (48, 48)
TARGETS = SCENE_CLASSES.targets
COUNT = SCENE_CLASSES.num_classes
WIDTH, GAP, LINE, TEXT = 1440, 16, 36, 23  # the pages show them about 900 pixels wide
INK, POINT, FINE, COLOURS = (30, 30, 30), (255, 214, 10), 4, 128


def main() -> None:
    image, labels = generate_scene(SEED, (512, 1024))
    sampling_picture(image, labels)
    smoothness_picture(labels)
    density_picture(image, labels)


def sampling_picture(image: Picture, labels: Picture) -> None:
    """The README's: the points, the small image they make, and the best answer from it."""
    density = boundary_density(batch(labels), thumbnail_of(labels), TARGETS)
    samplings = {
        "uniform": uniform_sampling(POINTS)[0],
        "equal density": equal_density_sampling(density, POINTS)[0],
    }
    side = (WIDTH - 2 * GAP) // 5
    wide = (side, 2 * side)
    rows = [
        [
            (f"an image of {labels.shape[0]}x{labels.shape[1]} pixels", shrink(image, wide)),
            ("its classes", legend(side)),
            ("its true labels", enlarge(paint(labels), wide)),
        ]
    ]
    for name, phi in samplings.items():
        everything, targets = ceilings(ceiling_confusion(labels, phi, COUNT), TARGETS).values()
        small = (sample_pixels(image, phi).permute(1, 2, 0) * 255).round().byte().numpy()
        rows.append(
            [
                (f"{name}: {POINTS[0]}x{POINTS[1]} points", dots(shrink(image, wide), phi)),
                ("the pixels there", enlarge(small, (side, side))),
                (
                    f"the labels there, interpolated: mIoU {everything:.2f}, targets {targets:.2f}",
                    enlarge(perfect_answer(labels, phi), wide),
                ),
            ]
        )
    save(rows, "sampling.png")


def smoothness_picture(labels: Picture) -> None:
    """The sweep of figure 3 of Marin et al. 2019, on the paper's control grid and on a full one."""
    side = (WIDTH - GAP) // 4 // 2 * 2
    base = enlarge(paint(labels), (side, 2 * side))
    rows = []
    for smoothness in (0.0, 0.03, 0.12, 1.0, 10.0):
        row = []
        for name, control in (("8x8 control grid", (8, 8)), ("full grid", POINTS)):
            phi = boundary_sampling(batch(labels), POINTS, smoothness, control, TARGETS)
            folded = f"{folded_cells(phi).item():.1%} of the cells folded"
            title = f"{name}, smoothness {smoothness:g}: {folded}"
            row.append((title, dots(base, phi[0])))
        rows.append(row)
    save(rows, "smoothness.png")


def density_picture(image: Picture, labels: Picture) -> None:
    """The density that samples follow, and the cells between the samples."""
    from matplotlib import colormaps

    wide = ((WIDTH - GAP) // 4, (WIDTH - GAP) // 2)
    density = boundary_density(batch(labels), thumbnail_of(labels), TARGETS)
    rho = relative_density(density, POINTS)[0].numpy()
    phi = equal_density_sampling(density, POINTS)[0]
    heat = colormaps["inferno"]((rho / rho.max()) ** 0.5)[..., :3]
    row = [
        ("density: boundaries, those of targets most", enlarge(to_bytes(heat), wide)),
        ("the cells between the samples", mesh(shrink(image, wide), phi)),
    ]
    save([row], "density.png")


def batch(labels: Picture) -> Tensor:
    return torch.from_numpy(labels)[None]


def thumbnail_of(labels: Picture) -> tuple[int, int]:
    return default_thumbnail(POINTS, labels.shape[1] / labels.shape[0])


def perfect_answer(labels: Picture, phi: Tensor) -> Picture:
    """The true labels at the samples, interpolated back, in colours."""
    read = sample_labels(labels, phi)
    scores = torch.nn.functional.one_hot(read, COUNT).permute(2, 0, 1)[None].float()
    return paint(interpolate_argmax(scores, phi[None], labels.shape)[0].numpy())


def paint(labels: Picture) -> Picture:
    return colour_labels(labels, SCENE_CLASSES.colours)


def to_bytes(shares: np.ndarray) -> Picture:
    return (255 * shares).round().astype(np.uint8)


def enlarge(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.NEAREST))


def shrink(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BOX))


def dots(picture: Picture, phi: Tensor, radius: float = 1.6) -> Picture:
    """The samples as points on a darkened copy."""

    def draw(pen: ImageDraw.ImageDraw, corners: np.ndarray) -> None:
        r = radius * FINE
        for x, y in corners.reshape(-1, 2).tolist():
            pen.ellipse((x - r, y - r, x + r, y + r), fill=255)

    return _drawn(picture, phi, draw)


def mesh(picture: Picture, phi: Tensor) -> Picture:
    """The cells between the samples on a darkened copy."""

    def draw(pen: ImageDraw.ImageDraw, corners: np.ndarray) -> None:
        for line in [*corners, *corners.transpose(1, 0, 2)]:
            pen.line([tuple(corner) for corner in line.tolist()], fill=255, width=FINE)

    return _drawn(picture, phi, draw)


def _drawn(
    picture: Picture, phi: Tensor, draw: Callable[[ImageDraw.ImageDraw, np.ndarray], None]
) -> Picture:
    height, width = picture.shape[:2]
    mask = Image.new("L", (width * FINE, height * FINE))
    corners = (phi.numpy() * (height - 1, width - 1) + 0.5)[..., ::-1] * FINE
    draw(ImageDraw.Draw(mask), corners)
    result = Image.fromarray((picture * 0.6).astype(np.uint8))
    result.paste(POINT, mask=mask.reduce(FINE))
    return np.asarray(result)


def legend(side: int) -> Picture:
    """Names and colours of the classes, targets marked."""
    sheet = Image.new("RGB", (side, side), "white")
    pen, step = ImageDraw.Draw(sheet), side / COUNT
    for i, c in enumerate(SCENE_CLASSES.scored):
        top = i * step
        pen.rectangle((0, top + 4, 36, top + step - 4), fill=c.colour)
        name = f"{c.name} (target)" if c.target else c.name
        pen.text((50, top + step / 2), name, INK, ImageFont.load_default(TEXT - 2), anchor="lm")
    return np.asarray(sheet)


def save(rows: list[list[tuple[str, Picture]]], name: str) -> None:
    """Lay rows of titled panels of one height out on white; few colours make a small file."""
    heights = [max(len(panel) for _, panel in row) + LINE for row in rows]
    sheet = Image.new("RGB", (WIDTH, sum(heights) + GAP * (len(rows) - 1)), "white")
    pen, top = ImageDraw.Draw(sheet), 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for title, panel in row:
            pen.text((left, top + 4), title, INK, ImageFont.load_default(TEXT))
            sheet.paste(Image.fromarray(panel), (left, top + LINE))
            left += panel.shape[1] + GAP
        top += height + GAP
    few = sheet.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(HERE / name, optimize=True)


if __name__ == "__main__":
    main()
