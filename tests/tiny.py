"""Giving commands in this process, and options of runs that take a second or two."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

TINY = (
    *("--size", "16x32", "--steps", "4", "--sampler-steps", "4", "--batch", "2"),
    *("--segmenter", "unet-plain", "--segmenter-options.widths", "[4, 8]"),
)


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


def cli(*words: str | Path) -> Answer:
    """Give a command, in this process."""
    from frugalseg.cli import main

    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())
