"""Tools for drawing generated scenes: a camera, light, and a canvas of colours and labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SKY, BUILDING, ROAD, PAVEMENT, TREE, CAR, PEDESTRIAN, POLE, SIGN = range(9)

Point = tuple[float, float]
Tone = tuple[float, float, float]
FAR = 160.0  # metres; beyond it the road runs straight on and nothing is placed


@dataclass(frozen=True)
class Camera:
    """A camera in a street; metres: `x` right of the middle of the road, `y` up, `z` ahead."""

    height: int
    width: int
    horizon: float
    centre: float
    focal: float
    level: float  # of the camera above the ground
    offset: float  # of the road's middle to the right of the camera
    yaw: float
    curve: float

    def road(self, z: float | NDArray[np.floating]) -> NDArray[np.floating]:
        """The middle of the road at a distance, in metres to the right of the camera's axis."""
        near = np.minimum(z, FAR)
        return np.asarray(self.offset + self.yaw * near + self.curve * near**2)

    def point(self, x: float, y: float, z: float) -> Point:
        """Column and row at which a place appears."""
        near = min(z, FAR)
        across = x + self.offset + self.yaw * near + self.curve * near * near
        return (
            self.centre + self.focal * across / z,
            self.horizon + self.focal * (self.level - y) / z,
        )

    def scale(self, z: float) -> float:
        """Pixels per metre at a distance."""
        return self.focal / z


@dataclass(frozen=True)
class Light:
    """Sun and haze, and their effect on a colour."""

    side: int  # where the sun stands: -1 left, 1 right
    sun: float  # 0 overcast to 1
    reach: float  # of shadows, in heights
    haze: Tone
    sight: float  # metres at which 63 % is haze

    def face(self, side: float) -> float:
        """Brightness of an upright face turned to the left (-1), right (1) or to the camera (0)."""
        return 1.0 + self.sun * (0.3 * side * self.side - 0.1)

    def at(self, colour: Tone, z: float, brightness: float = 1.0) -> tuple[int, int, int]:
        """The apparent colour of something at a distance."""
        clear = float(np.exp(-z / self.sight))
        lit = brightness * clear
        red, green, blue = (
            min(255, max(0, int(c * lit + h * (1 - clear))))
            for c, h in zip(colour, self.haze, strict=True)
        )
        return red, green, blue


class Canvas:
    """A colour image and its labels, drawn together."""

    def __init__(self, image: Image.Image, labels: Image.Image, camera: Camera, light: Light):
        self.camera, self.light = camera, light
        self.image, self.labels = image, labels
        self._colour = ImageDraw.Draw(image)
        self._label = ImageDraw.Draw(labels)

    def polygon(
        self,
        points: Sequence[Point],
        colour: Tone,
        z: float,
        label: int | None,
        brightness: float = 1.0,
    ) -> None:
        """Fill a polygon; with the `label` None only its colour, as for markings."""
        self._colour.polygon(points, fill=self.light.at(colour, z, brightness))
        if label is not None:
            self._label.polygon(points, fill=label)

    def ellipse(
        self,
        centre: Point,
        half_width: float,
        half_height: float,
        colour: Tone,
        z: float,
        label: int | None,
        brightness: float = 1.0,
    ) -> None:
        """Fill an upright ellipse given in pixels."""
        col, row = centre
        box = (col - half_width, row - half_height, col + half_width, row + half_height)
        self._colour.ellipse(box, fill=self.light.at(colour, z, brightness))
        if label is not None:
            self._label.ellipse(box, fill=label)

    def box(
        self,
        centre: Point,
        half_width: float,
        half_height: float,
        colour: Tone,
        z: float,
        label: int | None,
    ) -> None:
        """Fill an upright rectangle given in pixels."""
        col, row = centre
        left, right = col - half_width, col + half_width
        top, bottom = row - half_height, row + half_height
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        self.polygon(corners, colour, z, label)

    def quad(
        self,
        left: float,
        right: float,
        bottom: float,
        top: float,
        z: float,
        colour: Tone,
        label: int | None,
        brightness: float = 1.0,
    ) -> None:
        """Fill an upright rectangle that faces the camera, given in metres."""
        a = self.camera.point(left, bottom, z)
        b = self.camera.point(right, top, z)
        self.polygon([a, (b[0], a[1]), b, (a[0], b[1])], colour, z, label, brightness)

    def bar(
        self, start: Point, end: Point, width: float, colour: Tone, z: float, label: int
    ) -> None:
        """Draw a straight bar between two pixels, `width` pixels but never under two."""
        width = max(2, round(width))
        fill = self.light.at(colour, z)
        self._colour.line([start, end], fill=fill, width=width)
        self._label.line([start, end], fill=label, width=width)


def noise(
    rng: np.random.Generator, size: tuple[int, int], scales: Sequence[float]
) -> NDArray[np.float32]:
    """Smooth random texture with about zero mean and unit variance.

    Args:
        rng: draws it.
        size: height and width.
        scales: sizes of its lumps in pixels, equally strong.
    """
    height, width = size
    total = np.zeros(size, np.float32)
    for scale in scales:
        small = rng.standard_normal(
            (max(2, round(height / scale)), max(2, round(width / scale))), np.float32
        )
        if scale <= 1:
            small = np.resize(small, size)
        else:
            lumps = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
            small = np.asarray(lumps)
        total += small
    return total * np.float32(1.2 / len(scales) ** 0.5)
