"""Every command says what reading images and masks guesses or leaves out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from encoders import write_png
from odd_files import scene, write_folder
from tiny import cli, refused

DARK = (
    "frugalseg: Images of 16 bits (4), such as s00.png: of each value the upper 8 bits are read, "
    "and these use only values below {}, so that they are read nearly black; if they hold {} bits, "
    "multiply their values by {}."
)
DARK_11, DARK_8 = DARK.format(2048, 11, 32), DARK.format(256, 8, 256)


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    """Scenes of 11 bits in files of 16, with masks of three equal channels."""
    root = write_folder(tmp_path / "dark", 4)
    for i in range(4):
        image, mask = scene(i)
        write_png(root / "images" / f"s0{i}.png", image.astype(np.uint16) * 8, bits=16)
        Image.fromarray(np.stack([mask] * 3, -1)).save(root / "masks" / f"s0{i}.png")
    return root


def test_commands_that_learn_say_it(dark: Path, grouped: Path, tmp_path: Path) -> None:
    equal = "frugalseg: Masks of three equal channels (4), such as s00.png: their values are read"
    answer = cli("segment", dark, "--size", "500x500", "--run", tmp_path / "s")
    refused(answer, "more than the pixels")  # what comes first costs no training
    assert DARK_11 in answer.err.splitlines()
    assert equal in answer.err
    words = ("--masks", "folder", "--classes", "3", "--split", "val")
    answer = cli("discover", dark, *words, "--run", tmp_path / "d")
    refused(answer, "no split 'val'")
    assert answer.err.splitlines().count(DARK_11) == 1
    assert equal in answer.err
    for i in range(4):
        write_png(dark / "images" / f"s0{i}.png", scene(i)[0].astype(np.uint16), bits=16)
    answer = cli("cluster", dark / "images", "--clusters", "2", "--run", tmp_path / "c")
    refused(answer, "look the same")
    assert DARK_8 in answer.err.splitlines()
    words = ("--data", str(dark / "images"), "--labels", "folders")
    answer = cli("finetune", grouped, *words, "--run", tmp_path / "f")
    refused(answer, "no sub-folders")
    assert DARK_8 in answer.err.splitlines()


def test_predicting_says_it(
    dark: Path, trained: dict[str, Path], grouped: Path, tmp_path: Path
) -> None:
    for run in (trained["uniform"], grouped):
        answer = cli("predict", run, dark / "images", "--out", tmp_path / "out")
        assert answer.code == 0, answer.err
        assert answer.err.splitlines().count(DARK_11) == 1


def test_check_says_it(dark: Path) -> None:
    answer = cli("check", dark)
    assert answer.code == 0
    assert DARK_11.replace("frugalseg:", "Hint:") in answer.out.splitlines()
