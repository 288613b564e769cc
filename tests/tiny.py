"""Giving commands in this process, and options of runs that take a second or two."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TINY = (
    *("--size", "16x32", "--steps", "4", "--sampler-steps", "4", "--batch-size", "2"),
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

    return answer(main, *words)


def answer(main: Callable[[list[str]], None], *words: str | Path) -> Answer:
    """Call the main function of a command line."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def refused(answer: Answer, *says: str) -> None:
    """One sentence or two on one line, exit code 2."""
    assert answer.code == 2, answer
    last = answer.err.splitlines()[-1]
    assert last.startswith("frugalseg: ")
    assert "Traceback" not in answer.err
    for text in says:
        assert text in last, last


CLUSTERS = (
    *("--clusters", "3", "--overclusters", "6", "--sub-heads", "2", "--augment", "digits"),
    *(
        "--backbone",
        "vgg-iic",
        "--width",
        "2",
        "--steps",
        "4",
        "--batch-size",
        "12",
        "--num-views",
        "2",
    ),
)


def write_digits(folder: Path, count: int = 36) -> None:
    """Save digits 0 to 2 as PNG files, KIND/NUMBER.png, with labels.csv beside the folder."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    lines = ["file,label"]
    for i in [i for i, kind in enumerate(digits.target) if kind < 3][:count]:
        name = f"{digits.target[i]}/{i:04d}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[i] * 15.9).astype("uint8")).save(folder / name)
        lines.append(f"{name},kind {digits.target[i]}")
    (folder.parent / "labels.csv").write_text("\n".join(lines) + "\n")


Spoil = Callable[[Path], object]


def remove(name: str) -> Spoil:
    """Spoil a run: a file is gone."""
    return lambda run: (run / name).unlink()


def write(name: str, text: str) -> Spoil:
    """Spoil a run: a file says something else altogether."""
    return lambda run: (run / name).write_text(text)


def trained_with(**settings: object) -> Spoil:
    """Change settings of a finished run as if it had been trained with them."""

    def edit(run: Path) -> None:
        import yaml

        from frugalseg.engine.run_dir import RunDir

        state = RunDir(run).state()
        state["asked"] |= settings
        state["resolved"] |= settings
        RunDir(run).write_state(state)
        config = yaml.safe_load((run / "config.yaml").read_text()) | settings
        (run / "config.yaml").write_text(yaml.safe_dump(config))

    return edit


def replace(name: str, old: str, new: str) -> Spoil:
    """Spoil a run: a part of a file says something else."""

    def edit(run: Path) -> None:
        text = (run / name).read_text()
        assert old in text
        (run / name).write_text(text.replace(old, new))

    return edit
