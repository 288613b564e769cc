"""Cars, people, trees, poles and signs of generated scenes."""

from dataclasses import dataclass

import numpy as np

from frugalseg.demo._scene_view import CAR, PEDESTRIAN, POLE, SIGN, TREE, Canvas, Point, Tone

DARK: Tone = (28, 28, 32)


@dataclass(frozen=True)
class Thing:
    """An object in the street: its kind, its place (metres), and the seed of its appearance."""

    kind: str
    x: float
    z: float
    seed: int


def draw_thing(canvas: Canvas, thing: Thing) -> None:
    """Draw one thing."""
    rng = np.random.default_rng(thing.seed)
    _DRAW[thing.kind](canvas, thing, rng)


def _paint(rng: np.random.Generator) -> Tone:
    """A colour of a car or of clothes: mostly grey, black or white, sometimes bright."""
    if rng.random() < 0.55:
        grey = float(rng.choice([30, 60, 100, 140, 185, 225])) + rng.uniform(-15, 15)
        return (grey, grey + rng.uniform(-6, 6), grey + rng.uniform(-8, 12))
    red, green, blue = (float(v) for v in rng.uniform(20, 220, 3))
    return (red, green, blue)


def _car(canvas: Canvas, thing: Thing, rng: np.random.Generator) -> None:
    """A car or van, seen from the back or front and from the side that faces the camera."""
    camera, x, near = canvas.camera, thing.x, thing.z
    van = rng.random() < 0.18
    half = rng.uniform(0.85, 0.95) + 0.1 * van
    length = rng.uniform(3.7, 4.8) + 1.0 * van
    waist = rng.uniform(0.85, 1.0) + 0.25 * van
    top = rng.uniform(1.4, 1.6) + 0.75 * van
    far = near + length
    colour = _paint(rng)
    inwards = -1 if float(camera.road(near)) + x > 0 else 1  # the flank that looks at us
    flank = x + inwards * half
    front, back = (near + 0.35 * van, far - 0.2) if van else (near + 0.5, far - 1.2)

    def side(z1: float, z2: float, low: float, high: float, inset: float = 0.0) -> list[Point]:
        place = flank - inwards * inset
        corners = ((z1, low), (z2, low), (z2 - 0.25, high), (z1 + 0.25, high))
        return [camera.point(place, y, z) for z, y in corners]

    def lid(z1: float, z2: float, y: float, wide: float) -> list[Point]:
        corners = ((-wide, z1), (wide, z1), (wide, z2), (-wide, z2))
        return [camera.point(x + a, y, z) for a, z in corners]

    lit = canvas.light.face(inwards)
    shadow = [(-half, near), (half, near), (half, far), (-half, far)]
    canvas.polygon([camera.point(x + a, 0.02, z) for a, z in shadow], DARK, near, None)
    canvas.polygon(side(front, back, waist, top, 0.1), colour, near, CAR, lit)
    canvas.polygon(side(front + 0.15, back - 0.1, waist, top - 0.12, 0.1), DARK, near, CAR, 1.3)
    canvas.polygon(side(near - 0.25, far + 0.25, 0.28, waist), colour, near, CAR, lit)
    for axle in (near + 0.8, far - 0.8):
        middle = camera.point(flank, 0.32, axle)
        size = 0.32 * camera.scale(axle)
        across = size * max(0.15, abs(float(camera.road(axle)) + flank) / axle)
        canvas.ellipse(middle, across, size, DARK, axle, CAR)
    canvas.polygon(lid(near, far, waist, half), colour, near, CAR, 1.1)
    canvas.polygon(lid(front, back, top, half - 0.15), colour, near, CAR, 1.15)
    face = canvas.light.face(0)
    canvas.quad(x - half + 0.12, x + half - 0.12, waist, top, front, colour, CAR, face)
    glass: Tone = (60, 68, 78) if rng.random() < 0.7 else (120, 135, 150)
    canvas.quad(x - half + 0.2, x + half - 0.2, waist + 0.05, top - 0.12, front, glass, CAR)
    canvas.quad(x - half, x + half, 0.28, waist, near, colour, CAR, face)
    canvas.quad(x - half + 0.05, x + half - 0.05, 0.24, 0.42, near, DARK, CAR, 1.2)
    lamp: Tone = (190, 25, 25) if rng.random() < 0.6 else (240, 240, 225)
    for sign in (-1, 1):
        low = x + sign * (half - 0.18)
        canvas.quad(low - 0.16, low + 0.16, waist - 0.28, waist - 0.12, near, lamp, CAR)
        canvas.quad(low - 0.12, low + 0.12, 0.0, 0.28, near + 0.1, DARK, CAR)
    canvas.quad(x - 0.26, x + 0.26, 0.46, 0.58, near, (215, 215, 200), CAR)


def _pedestrian(canvas: Canvas, thing: Thing, rng: np.random.Generator) -> None:
    """A person who stands or walks."""
    camera, x, z = canvas.camera, thing.x, thing.z
    tall = rng.uniform(1.5, 1.9) if rng.random() < 0.85 else rng.uniform(1.0, 1.4)
    wide = tall * rng.uniform(0.12, 0.16)
    hip, neck = 0.5 * tall, 0.84 * tall
    coat, trousers = _paint(rng), _paint(rng)
    skin: Tone = tuple(float(v) for v in np.array([225, 175, 145]) * rng.uniform(0.35, 1.0))  # type: ignore[assignment]
    step = rng.uniform(0.0, 0.22) * tall
    metre = camera.scale(z)
    for foot in (-1, 1):
        start = camera.point(x + foot * 0.06 * tall, hip + 0.03, z)
        end = camera.point(x + foot * (0.05 * tall + step / 2), 0.0, z)
        canvas.bar(start, end, 0.09 * tall * metre, trousers, z, PEDESTRIAN)
    swing = rng.uniform(0.02, 0.12) * tall
    for arm in (-1, 1):
        start = camera.point(x + arm * (wide - 0.02), neck - 0.04, z)
        end = camera.point(x + arm * (wide + swing), hip - 0.02, z)
        canvas.bar(start, end, 0.06 * tall * metre, coat, z, PEDESTRIAN)
    low = hip - 0.06
    backbone = [
        camera.point(x + a, y, z)
        for a, y in ((-wide, neck), (wide, neck), (0.8 * wide, low), (-0.8 * wide, low))
    ]
    canvas.polygon(backbone, coat, z, PEDESTRIAN, canvas.light.face(0))
    head = camera.point(x, 0.915 * tall, z)
    canvas.ellipse(head, 0.055 * tall * metre, 0.08 * tall * metre, skin, z, PEDESTRIAN)
    hair = camera.point(x, 0.95 * tall, z)
    canvas.ellipse(hair, 0.056 * tall * metre, 0.05 * tall * metre, _paint(rng), z, PEDESTRIAN, 0.6)
    if rng.random() < 0.3:
        bag = x + rng.choice([-1, 1]) * (wide + 0.06)
        canvas.quad(bag - 0.1, bag + 0.1, hip - 0.35, hip, z, _paint(rng), PEDESTRIAN)


def _tree(canvas: Canvas, thing: Thing, rng: np.random.Generator) -> None:
    """A tree, or a bush if the trunk is short: many blots of leaves, lighter towards the sun."""
    camera, x, z = canvas.camera, thing.x, thing.z
    bush = rng.random() < 0.25
    radius = rng.uniform(0.7, 1.4) if bush else rng.uniform(1.2, 2.8)
    middle = radius * 0.8 if bush else rng.uniform(2.2, 3.5) + radius
    bark: Tone = (70, 58, 46) if rng.random() < 0.6 else (105, 100, 92)
    start, end = camera.point(x, 0, z), camera.point(x + rng.uniform(-0.2, 0.2), middle, z)
    metre = camera.scale(z)
    canvas.bar(start, end, rng.uniform(0.15, 0.35) * metre, bark, z, TREE)
    leaf = np.array([70, 100, 45]) + rng.uniform(-25, 30, 3)
    if rng.random() < 0.15:  # autumn
        leaf = np.array([150, 105, 45]) + rng.uniform(-20, 20, 3)
    count = int(np.clip(1.2 * radius * metre, 14, 90))
    turn, away = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    across, up = np.cos(turn) * away, np.sin(turn) * away
    order = np.argsort(up + rng.normal(0, 0.3, count))
    col, row = camera.point(x, middle, z)
    blot = radius * metre * rng.uniform(0.14, 0.34, count)
    bright = 0.8 + 0.25 * up + 0.2 * across * canvas.light.side * canvas.light.sun
    bright = bright * rng.uniform(0.65, 1.25, count)
    colour: Tone = (float(leaf[0]), float(leaf[1]), float(leaf[2]))
    for i in order:
        place = (col + across[i] * radius * metre, row - up[i] * radius * metre * 0.9)
        size = max(1.0, float(blot[i]))
        canvas.ellipse(place, size, size * 0.8, colour, z, TREE, float(bright[i]))


_METALS: tuple[Tone, ...] = (
    (120, 122, 124),
    (75, 78, 80),
    (160, 160, 158),
    (60, 75, 62),
    (105, 85, 65),
)


def _post(
    canvas: Canvas, x: float, z: float, height: float, width: float, rng: np.random.Generator
) -> Tone:
    """An upright pole, at least two pixels wide."""
    metal = _METALS[rng.integers(len(_METALS))]
    shade = rng.uniform(0.7, 1.2)
    colour: Tone = (metal[0] * shade, metal[1] * shade, metal[2] * shade)
    start, end = canvas.camera.point(x, 0, z), canvas.camera.point(x, height, z)
    canvas.bar(start, end, width * canvas.camera.scale(z), colour, z, POLE)
    return colour


def _lamp(canvas: Canvas, thing: Thing, rng: np.random.Generator) -> None:
    """A street lamp with its arm over the road."""
    x, z = thing.x, thing.z
    height = rng.uniform(5.0, 8.5)
    width = rng.uniform(0.11, 0.17)
    colour = _post(canvas, x, z, height, width, rng)
    arm = rng.uniform(0.6, 1.8) * (-1 if x > 0 else 1)
    metre = canvas.camera.scale(z)
    start, end = canvas.camera.point(x, height, z), canvas.camera.point(x + arm, height + 0.25, z)
    canvas.bar(start, end, 0.6 * width * metre, colour, z, POLE)
    canvas.bar(end, (end[0] + 0.5 * np.sign(arm) * metre, end[1]), 0.16 * metre, colour, z, POLE)


_PLATES: tuple[Tone, ...] = (
    (195, 30, 35), (30, 70, 165), (235, 235, 230), (225, 190, 35), (25, 110, 70), (110, 70, 45),
)  # fmt: skip


def _sign(canvas: Canvas, thing: Thing, rng: np.random.Generator) -> None:
    """A sign post with one or two plates: round, triangular or square."""
    x, z = thing.x, thing.z
    height = rng.uniform(2.2, 3.2)
    _post(canvas, x, z, height + 0.3, rng.uniform(0.07, 0.11), rng)
    metre = canvas.camera.scale(z)
    for plate in range(1 + int(rng.random() < 0.35)):
        half = rng.uniform(0.24, 0.42)
        col, row = canvas.camera.point(x, height - plate * 1.0, z)
        size = max(2.0, half * metre)
        colour, inner = (_PLATES[i] for i in rng.choice(len(_PLATES), 2, replace=False))
        shape = rng.integers(4)
        if rng.random() < 0.12:  # seen from behind
            colour = inner = (130, 130, 128)
        for part, tone in ((1.0, colour), (0.66, inner)):
            s = size * part
            label = SIGN if part == 1.0 else None
            if shape == 0:
                canvas.ellipse((col, row), s, s, tone, z, label)
            elif shape == 1:
                tip = [(col - s, row + 0.8 * s), (col + s, row + 0.8 * s), (col, row - 0.9 * s)]
                canvas.polygon(tip, tone, z, label)
            else:
                wide = s * (1.0 if shape == 2 else 1.7)
                canvas.box((col, row), wide, s, tone, z, label)
        _glyph(canvas, (col, row), size, z, rng)


def _glyph(canvas: Canvas, place: Point, size: float, z: float, rng: np.random.Generator) -> None:
    """The content of a sign: a dot, a bar, lines of text, or nothing."""
    col, row = place
    kind = rng.integers(4)
    ink: Tone = DARK if rng.random() < 0.6 else (235, 235, 235)
    if kind == 0:
        canvas.ellipse(place, 0.25 * size, 0.3 * size, ink, z, None)
    elif kind < 3:
        wide, tall = 0.5 * size, 0.09 * size * (3 - kind)
        for line in (0.0,) if kind == 1 else (-0.35, 0.0, 0.35):
            canvas.box((col, row + line * size), wide, tall, ink, z, None)


def _traffic_light(canvas: Canvas, thing: Thing, rng: np.random.Generator) -> None:
    """A traffic light: a dark box of three lamps on a post."""
    x, z = thing.x, thing.z
    height = rng.uniform(2.8, 3.6)
    _post(canvas, x, z, height, rng.uniform(0.1, 0.14), rng)
    metre = canvas.camera.scale(z)
    col, row = canvas.camera.point(x, height - 0.3, z)
    wide, tall = max(2.0, 0.2 * metre), max(4.0, 0.52 * metre)
    canvas.box((col, row), wide, tall, DARK, z, SIGN)
    lit = rng.integers(3)
    for lamp, colour in enumerate(((255, 60, 40), (255, 190, 60), (80, 240, 150))):
        place = (col, row + (lamp - 1) * 0.6 * tall)
        glow = 1.0 if lamp == lit else 0.25
        canvas.ellipse(place, 0.55 * wide, 0.55 * wide, colour, z, None, glow)


_DRAW = {
    "car": _car,
    "pedestrian": _pedestrian,
    "tree": _tree,
    "lamp": _lamp,
    "sign": _sign,
    "traffic light": _traffic_light,
}
