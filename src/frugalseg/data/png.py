"""Write PNG files row by row, and read large ones so: neither needs memory for the whole image."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from frugalseg.files import atomic_replace

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # colour types
_CHANNELS = {_GREY: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
_BLOCK = 1 << 20  # bytes read or compressed at a time


def write_png(
    strips: Iterable[NDArray[np.unsignedinteger[Any]]],
    path: Path,
    palette: NDArray[np.uint8] | None = None,
) -> None:
    """Write a grey or palette image from strips of its rows, atomically.

    Args:
        strips: (rows, W) from top to bottom, all uint8 or all uint16; asked for one at a time.
        path: the file; missing folders are made.
        palette: (256, 3) colours of 8-bit values; without it they are grey.

    Raises:
        FrugalsegError: the file cannot be written.
    """
    compressor = zlib.compressobj(3)
    width = height = depth = 0
    colour_type = _GREY if palette is None else _PALETTE
    with atomic_replace(path) as temporary, temporary.open("wb") as file:
        for strip in strips:
            if not height:
                width, depth = strip.shape[1], 8 * strip.itemsize
                file.writelines(_header(width, 0, depth, colour_type))
                if palette is not None:
                    file.writelines(_chunk(b"PLTE", palette.tobytes()))
            step = max(1, _BLOCK // (width * strip.itemsize))
            for top in range(0, len(strip), step):
                part = strip[top : top + step].astype(f">u{strip.itemsize}", copy=False)
                rows = np.zeros((len(part), 1 + width * strip.itemsize), np.uint8)  # 0: no filter
                rows[:, 1:] = np.ascontiguousarray(part).view(np.uint8)
                if data := compressor.compress(rows.data):
                    file.writelines(_chunk(b"IDAT", data))
            height += len(strip)
        file.writelines(_chunk(b"IDAT", compressor.flush()) + _chunk(b"IEND", b""))
        file.seek(0)
        file.writelines(_header(width, height, depth, colour_type))


def read_png_strips(path: Path, rows: int) -> Iterator[ImageFile] | None:
    """Read a PNG file as images of some of its rows, from top to bottom.

    Args:
        path: the file.
        rows: of each image but the last, which may have fewer.

    Returns:
        Opened images as Pillow would open the whole; None if the file is interlaced.

    Raises:
        OSError: on reading the strips, if the file is truncated.
        zlib.error: likewise, if it is damaged.
    """
    with path.open("rb") as file:
        file.seek(len(_SIGNATURE) + 8)
        header = struct.unpack(">IIBBxxB", file.read(13))
    width, height, depth, colour_type, interlaced = header
    if interlaced:
        return None
    bits = depth * _CHANNELS[colour_type]
    return _strips(path, height, rows, -(-width * bits // 8), max(1, bits // 8))


def _strips(path: Path, height: int, rows: int, length: int, step: int) -> Iterator[ImageFile]:
    """The strips of a file whose rows have `length` bytes, pixels `step` bytes apart."""
    from frugalseg.data._png_numba import unfilter

    above = np.zeros(length, np.uint8)
    with path.open("rb") as file:
        meaning = _before_pixels(file)
        fields = meaning.pop(b"IHDR")
        stream = _Inflated(file)
        for top in range(0, height, rows):
            count = min(rows, height - top)
            lines = np.frombuffer(stream.read(count * (1 + length)), np.uint8).reshape(count, -1)
            unfilter(lines, above, step)
            above = lines[-1, 1:]
            # a file of these rows, so that Pillow converts them as it would the whole
            chunks = {
                b"IHDR": fields[:4] + struct.pack(">I", count) + fields[8:],
                **meaning,
                b"IDAT": zlib.compress(lines.data, 0),
                b"IEND": b"",
            }
            parts = (part for kind, data in chunks.items() for part in _chunk(kind, data))
            yield Image.open(io.BytesIO(b"".join((_SIGNATURE, *parts))))


def _before_pixels(file: BinaryIO) -> dict[bytes, bytes]:
    """The chunks that say what pixels mean; leaves the file at the first chunk of pixels."""
    file.seek(len(_SIGNATURE))
    chunks = {}
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind == b"IDAT":
            file.seek(-8, io.SEEK_CUR)
            break
        if kind in (b"IHDR", b"PLTE", b"tRNS"):
            chunks[kind] = file.read(length)
            length = 0
        file.seek(length + 4, io.SEEK_CUR)
    return chunks


class _Inflated:
    """The filtered rows of a file as a stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._inflate = zlib.decompressobj()
        self._blocks = _compressed(file)

    def read(self, size: int) -> bytearray:
        parts = []
        while size:
            data = self._inflate.unconsumed_tail or next(self._blocks, b"")
            part = self._inflate.decompress(data, size)
            if not (part or data):
                raise OSError("image file is truncated")
            size -= len(part)
            parts.append(part)
        return bytearray().join(parts)


def _compressed(file: BinaryIO) -> Iterator[bytes]:
    """The chunks of pixels that follow, in blocks."""
    while len(start := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", start)
        if kind != b"IDAT":
            return
        while length and (data := file.read(min(length, _BLOCK))):
            length -= len(data)
            yield data
        file.seek(4, io.SEEK_CUR)


def _header(width: int, height: int, depth: int, colour_type: int) -> list[bytes]:
    fields = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return [_SIGNATURE, *_chunk(b"IHDR", fields)]


def _chunk(kind: bytes, data: bytes) -> list[bytes]:
    """A chunk, in parts that are still to be joined."""
    check = zlib.crc32(data, zlib.crc32(kind))
    return [struct.pack(">I4s", len(data), kind), data, struct.pack(">I", check)]
