"""Sky, ground and buildings of generated scenes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from frugalseg.demo._scene_things import Thing
from frugalseg.demo._scene_view import (
    BUILDING,
    FAR,
    PAVEMENT,
    ROAD,
    SKY,
    TREE,
    Camera,
    Canvas,
    Light,
    Point,
    Tone,
    noise,
)


@dataclass(frozen=True)
class House:
    """A building whose wall runs along the street from `near` to `far` (metres)."""

    side: int
    wall: float
    near: float
    far: float
    height: float
    seed: int


@dataclass(frozen=True)
class Street:
    """Widths in metres, and the road markings."""

    half_road: float
    half_street: float  # with the pavements, to the walls
    dashes: float  # length of the middle line's dashes; 0 for none
    crossing: float  # distance of a crossing, 0 for none
    asphalt: Tone
    paving: Tone


def paint_sky(rng: np.random.Generator, camera: Camera, light: Light) -> NDArray[np.float32]:
    """(H, W, 3), above the horizon sky: a gradient towards the haze, with clouds."""
    rows = max(2, int(camera.horizon) + 1)
    up = np.linspace(1, 0, rows, dtype=np.float32)[:, None, None]
    zenith = np.array([70, 120, 200], np.float32) * light.sun + 190 * (1 - light.sun)
    zenith = (zenith + rng.uniform(-20, 20, 3)).astype(np.float32)
    haze = np.array(light.haze, np.float32)
    s = camera.height / 512
    clouds = noise(rng, (rows, camera.width), (160 * s + 2, 70 * s + 2, 30 * s + 2))
    cover = np.clip(clouds * 0.5 + np.float32(rng.uniform(-0.5, 0.5)), 0, 1)
    cover *= np.float32(rng.uniform(0.3, 1.0))
    image = np.empty((camera.height, camera.width, 3), np.float32)
    image[:rows] = haze + (zenith - haze) * up ** np.float32(0.7)
    image[:rows] += (235 - image[:rows]) * cover[..., None]
    return image


def paint_ground(
    rng: np.random.Generator,
    camera: Camera,
    street: Street,
    shade: NDArray[np.float32],
    image: NDArray[np.float32],
    labels: NDArray[np.uint8],
    light: Light,
) -> None:
    """Paint road and pavement below the horizon, with markings, texture, wear and shadows."""
    top = int(camera.horizon) + 1
    rows = np.arange(top, camera.height, dtype=np.float32)
    z = (camera.focal * camera.level / (rows - camera.horizon))[:, None]
    cols = np.arange(camera.width, dtype=np.float32)
    x = (cols - camera.centre) * (z / camera.focal) - camera.road(z).astype(np.float32)
    away = np.abs(x)
    road = away < street.half_road
    labels[top:] = np.where(road, ROAD, PAVEMENT)
    asphalt, paving = np.array([street.asphalt, street.paving], np.float32)
    tone = np.where(road[..., None], asphalt, paving)
    # texture in metres, so that it shrinks with distance as all else does
    table = noise(rng, (256, 256), (1, 4, 16))
    coarse = table[(z * 0.7).astype(np.int32) & 255, (x * 1.5).astype(np.int32) & 255]
    fine = table[(z * 9).astype(np.int32) & 255, (x * 23).astype(np.int32) & 255]
    grain = 0.05 * coarse + 0.06 * fine * np.minimum(1, 14 / z)
    joint = ((x * 1.6) % 1 < 0.06) | ((z * 1.2) % 1 < 0.06)
    grain -= 0.12 * (joint & ~road & (z < 25))
    kerb = (away >= street.half_road) & (away < street.half_road + 0.22)
    grain += 0.16 * kerb
    bright = (1 + grain) * (1 - shade[top:])
    painted = _marks(x, away, z, street) & (fine > -1.3)
    tone[painted] = rng.uniform(185, 235)
    clear = np.exp(-z / light.sight)[..., None]
    tone = tone * bright[..., None] * clear + np.array(light.haze, np.float32) * (1 - clear)
    image[top:] = tone


def _marks(
    x: NDArray[np.float32], away: NDArray[np.float32], z: NDArray[np.float32], street: Street
) -> NDArray[np.bool_]:
    """A mask of the white road markings."""
    painted = np.abs(away - street.half_road + 0.35) < 0.07
    if street.dashes:
        painted |= (away < 0.07) & (z % (2 * street.dashes) < street.dashes)
    if street.crossing:
        strip = (np.abs(z - street.crossing) < 1.6) & (away < street.half_road - 0.3)
        painted |= strip & (x % 1.0 < 0.5)
    near: NDArray[np.bool_] = painted & (z < FAR)
    return near


def cast_shadows(
    camera: Camera, light: Light, houses: list[House], things: list[Thing]
) -> NDArray[np.float32]:
    """How much darker shadows of buildings and objects make the ground: (H, W)."""
    mask = Image.new("L", (camera.width, camera.height))
    draw = ImageDraw.Draw(mask)
    throw = -light.side * light.reach
    for house in houses:
        if house.side == light.side and light.sun > 0.2:
            wall, end = house.wall * house.side, house.wall * house.side + throw * house.height
            corners = ((wall, house.near), (wall, house.far), (end, house.far), (end, house.near))
            draw.polygon([camera.point(x, 0, z) for x, z in corners], fill=255)
    sizes = {"car": (1.0, 1.4), "pedestrian": (0.2, 1.7), "tree": (0.25, 4.0), "lamp": (0.1, 7.0)}
    for thing in things:
        half, tall = sizes.get(thing.kind, (0.06, 2.5))
        end = thing.x + throw * tall
        z1, z2 = max(1.5, thing.z - half), thing.z + half
        if light.sun > 0.2:
            corners = ((thing.x, z1), (thing.x, z2), (end, z2 + 0.4), (end, z1 - 0.1))
            draw.polygon([camera.point(x, 0, z) for x, z in corners], fill=255)
        if thing.kind == "tree" and light.sun > 0.2:
            col, row = camera.point(end, 0, thing.z)
            wide = 2.0 * camera.scale(thing.z)
            high = wide * camera.level / thing.z
            draw.ellipse((col - wide, row - high, col + wide, row + high), fill=255)
    soft = mask.filter(ImageFilter.BoxBlur(max(1.0, camera.height / 300)))
    return np.asarray(soft, np.float32) * np.float32(0.55 * light.sun / 255)


def draw_skyline(rng: np.random.Generator, canvas: Canvas) -> None:
    """Far houses and trees along the horizon."""
    camera = canvas.camera
    col, unit = 0.0, camera.height / 512
    while col < camera.width:
        wide = rng.uniform(15, 60) * unit
        high = rng.uniform(5, 45) * unit
        foot = camera.horizon + 3 * unit
        if rng.random() < 0.45:
            middle = (col + wide / 2, foot - 0.3 * high)
            canvas.ellipse(middle, wide * 0.6, 0.5 * high, (75, 95, 60), 0.8 * FAR, TREE)
        else:
            grey = rng.uniform(90, 190)
            box = [(col, foot), (col + wide, foot), (col + wide, foot - high), (col, foot - high)]
            canvas.polygon(box, (grey, grey * 0.97, grey * 0.93), 0.8 * FAR, BUILDING)
        col += wide * rng.uniform(0.6, 1.1)


def draw_house(canvas: Canvas, house: House) -> None:
    """A building: its wall along the street, its end wall, windows, shops, pipes and boards."""
    rng = np.random.default_rng(house.seed)
    camera = canvas.camera
    base = rng.uniform(70, 215)
    colour: Tone = (
        base * rng.uniform(0.95, 1.15), base * rng.uniform(0.9, 1.03), base * rng.uniform(0.7, 1.05)
    )  # fmt: skip
    wall = house.side * house.wall
    outer = wall + house.side * 14
    left, right = min(wall, outer), max(wall, outer)
    lit = canvas.light.face(0)
    canvas.quad(left, right, 0, house.height, house.near, colour, BUILDING, lit)
    corners = ((house.near, 0.0), (house.far, 0.0), (house.far, house.height))
    outline = [camera.point(wall, y, z) for z, y in (*corners, (house.near, house.height))]
    middle = (house.near + house.far) / 2
    lit = canvas.light.face(-house.side)
    canvas.polygon(outline, colour, middle, BUILDING, lit)
    _windows(canvas, house, wall, colour, lit, rng)
    if rng.random() < 0.5:  # a drainpipe: thin, upright, and no pole
        z = rng.uniform(house.near, house.far)
        pipe = [
            camera.point(wall, y, z + d)
            for d, y in ((0, 0), (0.25, 0), (0.25, house.height), (0, house.height))
        ]
        canvas.polygon(pipe, (70, 70, 72), z, None)
    if rng.random() < 0.5:  # a board on the wall: bright, and no sign
        z = rng.uniform(house.near, max(house.near + 0.1, house.far - 3))
        low = rng.uniform(2.6, 3.4)
        board = [
            camera.point(wall, y, z + d)
            for d, y in ((0, low), (2.5, low), (2.5, low + 0.7), (0, low + 0.7))
        ]
        red, green, blue = (float(v) for v in rng.uniform(20, 230, 3))
        canvas.polygon(board, (red, green, blue), z, None)


def _windows(
    canvas: Canvas,
    house: House,
    wall: float,
    colour: Tone,
    lit: float,
    rng: np.random.Generator,
) -> None:
    """Rows of windows on the wall along the street; those under two pixels are left out."""
    camera = canvas.camera
    storey, pitch = rng.uniform(2.8, 3.8), rng.uniform(1.8, 3.6)
    wide, tall = pitch * rng.uniform(0.35, 0.75), storey * rng.uniform(0.4, 0.65)
    glass = float(rng.uniform(40, 110))
    frame = rng.random() < 0.5
    for z in np.arange(house.near + 0.4, house.far - wide, pitch).tolist():
        left, right = camera.point(wall, 0, z)[0], camera.point(wall, 0, z + wide)[0]
        seen = min(left, right) < camera.width and max(left, right) > 0
        if not seen or abs(left - right) < 1.5:
            continue
        for floor in range(int(house.height / storey)):
            low = floor * storey + (0.3 if floor == 0 else 0.9)
            tone = glass * rng.uniform(0.6, 1.6)
            hue: Tone = (tone, tone * 1.03, tone * 1.1)
            if frame:
                rim = 0.12
                edge = (z - rim, z + wide + rim, low - rim, low + tall + rim)
                canvas.polygon(_on_wall(camera, wall, *edge), colour, z, None, lit * 1.25)
            canvas.polygon(_on_wall(camera, wall, z, z + wide, low, low + tall), hue, z, None)


def _on_wall(
    camera: Camera, wall: float, z1: float, z2: float, low: float, high: float
) -> list[Point]:
    """The corners of an upright rectangle on a wall along the street."""
    return [camera.point(wall, y, z) for z, y in ((z1, low), (z2, low), (z2, high), (z1, high))]


def sky_labels(camera: Camera) -> NDArray[np.uint8]:
    """(H, W) labels of sky, over which the rest is drawn."""
    return np.full((camera.height, camera.width), SKY, np.uint8)
