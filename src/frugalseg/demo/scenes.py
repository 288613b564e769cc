"""Generated street scenes with exact labels: any size and number, from a seed, without download."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from frugalseg.data.class_lists.classes import ClassList, SegmentationClass, write_classes
from frugalseg.data.masks import write_labels
from frugalseg.demo._scene_things import Thing, draw_thing
from frugalseg.demo._scene_town import (
    House,
    Street,
    cast_shadows,
    draw_house,
    draw_skyline,
    paint_ground,
    paint_sky,
    sky_labels,
)
from frugalseg.demo._scene_view import FAR, Camera, Canvas, Light, noise
from frugalseg.errors import FrugalsegError
from frugalseg.files import atomic_replace

SCENE_CLASSES = ClassList(
    (
        SegmentationClass("sky", 0, (128, 180, 230), False),
        SegmentationClass("building", 1, (128, 64, 0), False),
        SegmentationClass("road", 2, (128, 64, 128), False),
        SegmentationClass("pavement", 3, (230, 170, 230), False),
        SegmentationClass("tree", 4, (60, 150, 60), False),
        SegmentationClass("car", 5, (0, 0, 200), True),
        SegmentationClass("pedestrian", 6, (220, 20, 60), True),
        SegmentationClass("pole", 7, (250, 250, 0), True),
        SegmentationClass("sign", 8, (250, 150, 0), True),
    )
)
# how strongly the texture shows on each class
_ROUGHNESS = np.array([0.01, 0.05, 0.02, 0.02, 0.16, 0.03, 0.06, 0.04, 0.03], np.float32)
_SMALLEST = 32


def generate_scene(
    seed: int, size: tuple[int, int] = (512, 1024)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Make one street scene.

    Things scale with the image's height; poles are at least two pixels wide.

    Args:
        seed: the same seed and size give the same scene.
        size: height and width, at least 32 each.

    Returns:
        image: (H, W, 3).
        labels: (H, W) indices into `SCENE_CLASSES`.

    Raises:
        FrugalsegError: the size is too small.
    """
    if min(size) < _SMALLEST:
        raise FrugalsegError(
            f"The size of a scene is {size[0]}x{size[1]}; the least is {_SMALLEST}x{_SMALLEST}."
        )
    rng = np.random.default_rng(seed)
    camera, light, street = _camera(rng, size), _light(rng), _street(rng)
    houses, greens = _houses(rng, street)
    things = _furniture(rng, street) + _traffic(rng, street) + greens
    image, labels = paint_sky(rng, camera, light), sky_labels(camera)
    shade = cast_shadows(camera, light, houses, things)
    paint_ground(rng, camera, street, shade, image, labels, light)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    canvas = Canvas(picture, Image.fromarray(labels), camera, light)
    draw_skyline(rng, canvas)
    # far ones first, so that near ones hide them; a wall counts by its far end
    ordered: list[tuple[float, House | Thing]] = [(h.far, h) for h in houses]
    ordered += [(t.z, t) for t in things]
    for _, what in sorted(ordered, key=lambda pair: -pair[0]):
        if isinstance(what, House):
            draw_house(canvas, what)
        else:
            draw_thing(canvas, what)
    found = np.array(canvas.labels)
    return _photograph(rng, canvas.image, found, light), found


def _camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    height, width = size
    return Camera(
        height,
        width,
        horizon=height * rng.uniform(0.36, 0.5),
        centre=width * rng.uniform(0.42, 0.58),
        focal=height * rng.uniform(1.0, 1.35),
        level=rng.uniform(1.3, 2.0),
        offset=rng.uniform(-2.2, 2.2),
        yaw=rng.uniform(-0.06, 0.06),
        curve=rng.normal(0, 0.0008),
    )


def _light(rng: np.random.Generator) -> Light:
    sun = float(rng.choice([0.0, rng.uniform(0.4, 1.0)], p=[0.35, 0.65]))
    grey = rng.uniform(165, 225)
    haze = (grey * rng.uniform(0.94, 1.03), grey, grey * rng.uniform(0.98, 1.1))
    sight = float(np.exp(rng.uniform(np.log(70), np.log(900))))
    return Light(int(rng.choice([-1, 1])), sun, rng.uniform(0.3, 1.4), haze, sight)


def _street(rng: np.random.Generator) -> Street:
    half = rng.uniform(3.2, 6.0)
    grey = rng.uniform(65, 140)
    pale = grey * rng.uniform(0.9, 1.6)
    return Street(
        half_road=half,
        half_street=half + rng.uniform(2.2, 5.0),
        dashes=float(rng.choice([0.0, 2.0, 4.0])),
        crossing=rng.uniform(8, 30) if rng.random() < 0.35 else 0.0,
        asphalt=(grey, grey * rng.uniform(0.97, 1.02), grey * rng.uniform(0.97, 1.06)),
        paving=(pale, pale * rng.uniform(0.9, 1.0), pale * rng.uniform(0.8, 1.03)),
    )


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))


def _houses(rng: np.random.Generator, street: Street) -> tuple[list[House], list[Thing]]:
    """Houses on both sides with gaps, and the trees in the gaps."""
    houses, greens = [], []
    for side in (-1, 1):
        built = rng.uniform(0.45, 0.95)
        z = 1.5
        while z < 0.75 * FAR:
            length = rng.uniform(5, 16) * (1 + z / 80)
            if rng.random() < built:
                wall = street.half_street + rng.uniform(0, 0.6)
                high = rng.uniform(4.5, 20)
                houses.append(House(side, wall, z, z + length, high, _seed(rng)))
            else:
                for _ in range(rng.integers(1, 5)):
                    x = side * (street.half_street + rng.uniform(1, 7))
                    greens.append(Thing("tree", x, z + rng.uniform(2.5, length + 2), _seed(rng)))
            z += length
    return houses, greens


def _furniture(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Lamps, signs, traffic lights and trees along the kerbs."""
    things = []
    kerb = street.half_road
    for side in (-1, 1):
        if rng.random() < 0.8:
            for z in np.arange(rng.uniform(7, 20), 90, rng.uniform(14, 28)):
                things.append(Thing("lamp", side * (kerb + 0.6), float(z), _seed(rng)))
        if rng.random() < 0.5:
            for z in np.arange(rng.uniform(8, 25), 80, rng.uniform(9, 20)):
                things.append(Thing("tree", side * (kerb + 1.1), float(z), _seed(rng)))
        for _ in range(rng.integers(2, 6)):
            x = side * (kerb + rng.uniform(0.4, 1.2))
            kind = "sign" if rng.random() < 0.75 else "traffic light"
            things.append(Thing(kind, x, _distance(rng, 6, 50), _seed(rng)))
    return things


def _traffic(rng: np.random.Generator, street: Street) -> list[Thing]:
    """Parked and moving cars; people on the pavements and, some, on the road."""
    things = []
    kerb = street.half_road
    for side in (-1, 1):
        if rng.random() < 0.6 and kerb > 3.8:
            z = rng.uniform(7, 25)
            while z < 70:
                if rng.random() < 0.45:
                    things.append(Thing("car", side * (kerb - 1.05), z, _seed(rng)))
                z += rng.uniform(5.8, 8)
        if rng.random() < 0.7:
            z = rng.uniform(11, 60)
            lane = side * min(kerb - 2.6, 1.9) if kerb > 4.6 else side * (kerb / 2)
            things.append(Thing("car", lane, z, _seed(rng)))
    for _ in range(rng.integers(4, 14)):
        crossing = rng.random() < 0.15
        side = rng.choice([-1, 1])
        x = rng.uniform(-kerb, kerb) if crossing else side * rng.uniform(kerb, street.half_street)
        near = 10 if crossing else 6
        things.append(Thing("pedestrian", float(x), _distance(rng, near, 60), _seed(rng)))
    return things


def _distance(rng: np.random.Generator, near: float, far: float) -> float:
    """A distance; small ones are more frequent, so that objects of all sizes appear."""
    return float(near * (far / near) ** rng.uniform(0, 1))


def _photograph(
    rng: np.random.Generator, picture: Image.Image, labels: NDArray[np.uint8], light: Light
) -> NDArray[np.uint8]:
    """Turn the drawing into a photograph: texture, blur, exposure, cast, vignette, noise."""
    height, width = labels.shape
    unit = height / 512
    texture = noise(rng, (height, width), (2, 5 * unit + 1, 14 * unit + 1))
    across = np.linspace(-1, 1, width, dtype=np.float32)
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    vignette = 1 - np.float32(rng.uniform(0, 0.15)) * (across**2 + down**2)
    glare = np.exp(-2 * (across - 0.8 * light.side) ** 2) * np.exp(-1 - down)
    grain = rng.standard_normal((height, width), np.float32) * np.float32(rng.uniform(1.5, 6.0))
    soft = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.3, 0.8) * max(0.7, unit)))
    image = np.array(soft, np.float32)
    image *= ((1 + texture * _ROUGHNESS[labels]) * vignette)[..., None]
    image += (np.float32(18 * light.sun) * glare + grain)[..., None]
    np.clip(image, 0, 255, out=image)
    levels = np.arange(256)[:, None] / 255
    response = levels ** rng.uniform(0.85, 1.2) * rng.uniform(0.6, 1.25) * rng.uniform(0.9, 1.1, 3)
    curves = np.clip(255 * response, 0, 255).astype(np.uint8)
    result = image.astype(np.uint8)
    for channel in range(3):
        result[..., channel] = curves[:, channel][result[..., channel]]
    return result


def write_scenes(
    folder: Path | str,
    train: int,
    val: int,
    test: int,
    size: tuple[int, int] = (512, 1024),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write generated scenes as a data folder: `images/SPLIT`, `masks/SPLIT`, `classes.csv`.

    Asking for more scenes with the same seed keeps the first ones as they are.

    Args:
        folder: made if it is missing.
        train: number of scenes for training.
        val: number for choosing settings.
        test: number for testing.
        size: height and width.
        seed: of the whole set.
        progress: called with the number of finished scenes and of all.

    Raises:
        FrugalsegError: other files lie in the folder already, or it cannot be written.
    """
    folder = Path(folder)
    jobs: list[tuple[str, str, int]] = []
    for number, (split, count) in enumerate((("train", train), ("val", val), ("test", test))):
        seeds = np.random.SeedSequence((seed, number)).generate_state(count) if count else ()
        jobs += [(split, f"scene_{i:05d}", int(s)) for i, s in enumerate(seeds)]
    expected = {(split, name) for split, name, _ in jobs}
    for old in [*folder.glob("images/*/*"), *folder.glob("masks/*/*")]:
        if (old.parent.name, old.stem) not in expected:
            raise FrugalsegError(
                f"{folder} holds other files already ({old.name}). Choose an empty folder."
            )

    def write(job: tuple[str, str, int]) -> None:
        split, name, scene_seed = job
        image, labels = generate_scene(scene_seed, size)
        with atomic_replace(folder / "images" / split / f"{name}.jpg") as temporary:
            Image.fromarray(image).save(temporary, format="JPEG", quality=90)
        write_labels(labels, folder / "masks" / split / f"{name}.png", SCENE_CLASSES)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(write, jobs), 1):
            if progress is not None:
                progress(done, len(jobs))
    write_classes(SCENE_CLASSES, folder / "classes.csv")
