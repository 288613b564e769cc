"""Time and memory of `frugalseg predict` on single images of 20,000 and 32,000 pixels a side.

Each command runs in a process of its own. With BEFORE=FOLDER, another checkout of the package, its
command is run in alternation; images above 20,000 pixels are left out there, as it may need more
memory than there is.
"""

import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image

import frugalseg
from frugalseg.data.images import Pixels
from frugalseg.demo.scenes import generate_scene, write_scenes

HERE = Path(__file__).parents[1]
IMAGES = (("jpg", 20_000), ("png", 20_000), ("png", 32_000))
LARGEST_BEFORE = 20_000
ROUNDS = 1
ROWS = 500  # of an image that are generated at a time
# the peak that the system reports at the end of a process counts the process that started it too
CODE = """import atexit, sys
from frugalseg.cli import main

@atexit.register
def report():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(1024 * int(status["VmHWM"].split()[0]))

main(sys.argv[1:])
"""


def strips(side: int) -> Iterator[Pixels]:
    """A street scene, enlarged, with the noise of a camera."""
    scene = generate_scene(0, (1000, 1000))[0]
    noise = np.random.default_rng(0).integers(-6, 7, (ROWS, side, 3), np.int16)
    for top in range(0, side, ROWS):
        rows = np.arange(top, top + ROWS) * len(scene) // side
        enlarged = scene[rows][:, np.arange(side) * len(scene) // side]
        yield (enlarged + np.roll(noise, 7 * top, 1)).clip(0, 255).astype(np.uint8)


def write_jpeg(path: Path, side: int) -> None:
    image = Image.new("RGB", (side, side))
    for k, strip in enumerate(strips(side)):
        image.paste(Image.fromarray(strip), (0, k * ROWS))
    image.save(path, quality=90)


def write_png(path: Path, side: int) -> None:
    """Rows are stored as differences to the left and to the row above, in turn."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    compressor = zlib.compressobj(1)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        for strip in strips(side):
            pixels = strip.reshape(ROWS, -1)
            rows = np.empty((ROWS, 1 + 3 * side), np.uint8)
            rows[:, 0], rows[:, 1:] = 1, pixels
            rows[:, 4:] -= pixels[:, :-3]
            rows[1::2, 0], rows[1::2, 1:] = 2, pixels[1::2] - pixels[::2]
            file.write(chunk(b"IDAT", compressor.compress(rows.data)))
        file.write(chunk(b"IDAT", compressor.flush()) + chunk(b"IEND", b""))


def measure(checkout: Path, run: Path, image: Path, out: Path) -> dict[str, float]:
    """Seconds, seconds of the processor and peak memory of one command."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", CODE, "predict", str(run), str(image), "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    before = os.times()
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    after = os.times()
    return {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": sum(after[2:4]) - sum(before[2:4]),
        "peak_memory_bytes": int(done.stdout.split()[-1]),
    }


def run() -> dict[str, Any]:
    """Measure both checkouts in alternation, and compare the means."""
    checkouts = {"now": HERE}
    if "BEFORE" in os.environ:
        checkouts["before"] = Path(os.environ["BEFORE"])
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_scenes(work / "scenes", 24, 2, 2, (256, 512))
        settings = {"steps": 20, "sampler_steps": 20, "batch_size": 2, "segmenter": "unet-plain"}
        frugalseg.train("segment", work / "scenes", work / "run", **settings)
        for kind, side in IMAGES:
            image = work / f"image.{kind}"
            (write_jpeg if kind == "jpg" else write_png)(image, side)
            names = [name for name in checkouts if name == "now" or side <= LARGEST_BEFORE]
            rows: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(ROUNDS):
                for name in names:
                    rows[name].append(measure(checkouts[name], work / "run", image, work / "out"))
            means = {
                name: {key: mean(row[key] for row in rows[name]) for key in rows[name][0]}
                for name in names
            }
            result: dict[str, Any] = {"file_bytes": image.stat().st_size, **means}
            if "before" in means:
                now, before = means["now"], means["before"]
                result["before over now"] = {key: before[key] / now[key] for key in now}
            print(f"{kind} {side}x{side}: {result}", flush=True)
            results[f"{kind} {side}x{side}"] = result
            image.unlink()
    return {
        "question": "predict on one very large image, 64x64 points; means of "
        f"{ROUNDS} run(s), in alternation if there are two checkouts",
        "images": results,
    }
