"""Image files written byte by byte, as their formats are defined, without an image library."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.integer[Any]]


def _packed(samples: Samples, bits: int, order: str) -> bytes:
    """Rows of samples of 1, 2, 4, 8 or 16 bits, each row filled up to whole bytes."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        return rows.astype(f"{order}u2").tobytes()
    planes = rows[..., None] >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(planes.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def write_png(path: Path, samples: Samples, bits: int = 8, text: bytes = b"") -> None:
    """Write (H, W) grey or (H, W, 2, 3 or 4) samples; `text` is stored as one zipped iTXt chunk."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    height, width = samples.shape[:2]
    colour_type = 0 if samples.ndim == 2 else {2: 4, 3: 2, 4: 6}[samples.shape[2]]
    content = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    if text:
        content += chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text))
    packed = _packed(samples, bits, ">")
    step = len(packed) // height
    rows = b"".join(b"\0" + packed[i : i + step] for i in range(0, len(packed), step))
    content += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def write_tiff(
    path: Path, *pages: Samples, bits: int = 8, photometric: int | None = None, **tags: list[int]
) -> None:
    """Write pages of (H, W) or (H, W, bands) samples; tags as `t338=[0]` go into each page.

    Args:
        path: the file.
        pages: of one size or several.
        bits: of a sample.
        photometric: 0: zero is white; 1: zero is black; 2: red, green, blue and other bands.
        tags: shorts of other tags, by number.
    """
    content = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    link = 4
    for page in pages:
        height, width = page.shape[:2]
        bands = 1 if page.ndim == 2 else page.shape[2]
        data = _packed(page, bits, "<")
        shorts = {258: [bits] * bands, 259: [1], 277: [bands], 284: [1]}
        shorts[262] = [(1 if bands == 1 else 2) if photometric is None else photometric]
        shorts |= {int(tag[1:]): values for tag, values in tags.items()}
        content += b"\0" * (len(content) % 2)
        longs = {256: width, 257: height, 273: len(content), 278: height, 279: len(data)}
        content += data + b"\0" * (len(data) % 2)
        entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in longs.items()}
        for tag, values in shorts.items():
            packed = struct.pack(f"<{len(values)}H", *values)
            if len(packed) > 4:
                content += packed
                packed = struct.pack("<I", len(content) - len(packed))
            entries[tag] = struct.pack("<HHI", tag, 3, len(values)) + packed.ljust(4, b"\0")
        struct.pack_into("<I", content, link, len(content))
        content += struct.pack("<H", len(entries)) + b"".join(
            entries[tag] for tag in sorted(entries)
        )
        link = len(content)
        content += struct.pack("<I", 0)
    path.write_bytes(bytes(content))
