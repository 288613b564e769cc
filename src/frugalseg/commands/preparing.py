"""The commands that make folders from data sets as their makers ship them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from frugalseg.commands.common import say
from frugalseg.data.prepared import Progress


def prepare_cocostuff(raw: Path, out: Path, classes: int, lists: Sequence[Path]) -> None:
    """Prepare COCO-Stuff and say what it holds."""
    from frugalseg.data.cocostuff import prepare_cocostuff as work

    with _bar("images") as progress:
        counts = work(raw, out, classes, lists, progress)
    _told(counts, out)


def prepare_potsdam(
    raw: Path, out: Path, classes: int, crop: int, seed: int, ignore_unknown: bool
) -> None:
    """Prepare Potsdam and say what it holds."""
    from frugalseg.data.potsdam import prepare_potsdam as work

    with _bar("steps") as progress:
        counts = work(raw, out, classes, crop, seed, ignore_unknown, progress)
    _told(counts, out)


@contextmanager
def _bar(unit: str) -> Iterator[Progress]:
    """A progress bar, where someone watches, that shows what has been done."""
    from tqdm import tqdm

    with tqdm(unit=unit, disable=not sys.stderr.isatty()) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _told(counts: dict[str, int], out: Path) -> None:
    print(", ".join(f"{split} {count}" for split, count in counts.items()))
    say(f"Prepared in {out}. Next: frugalseg check {out}")
