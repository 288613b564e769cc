"""The commands and the Python lines of the README, run on tiny data."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from textures import WORDS as REGIONS
from tiny import CLUSTERS, TINY, cli, write_digits

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the README calls FOLDER, IMAGES, IMAGE and PHOTOS."""
    write_digits(tmp_path / "PHOTOS")
    shutil.copytree(scenes, tmp_path / "FOLDER")
    shutil.copytree(scenes / "images/test", tmp_path / "IMAGES")
    shutil.copy(scenes / "images/test/scene_00000.jpg", tmp_path / "IMAGE.jpg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_run_one_after_the_other(place: Path) -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) >= 3
    for command in commands:
        program, *words = shlex.split(command.replace("IMAGE ", "IMAGE.jpg "))
        assert program == "frugalseg"
        if words[0] == "demo":
            continue  # tested on its own
        if words[0] == "segment":
            at = words.index("--size")
            words = [*words[:at], *words[at + 2 :], *TINY]
        if words[0] == "cluster":
            at = words.index("--clusters")
            words = [*words[:at], *words[at + 2 :], *CLUSTERS]
        if words[0] == "discover":
            at = words.index("--classes")
            words = [*words[:at], *words[at + 2 :], *REGIONS]
        answer = cli(*words)
        assert answer.code == 0, f"{command}: {answer.err}"
    assert len(list((place / "LABELS").glob("*.png"))) == 2
    assert (place / "GROUPED" / "assignments.csv").read_text().count("\n") == 3
    assert (place / "comparison.html").stat().st_size > 10_000


def test_the_python_lines_run(place: Path, trained: dict[str, Path]) -> None:
    shutil.copytree(trained["density"], place / "RUN")
    for block in blocks("python"):
        names: dict[str, Any] = {
            "image": torch.rand(1, 3, 128, 256),
            "truth": (torch.rand(1, 128, 256) > 0.5).long(),
            "network": torch.nn.Conv2d(3, 4, 3, padding=1),
        }
        exec(block.replace('"IMAGE"', '"IMAGE.jpg"'), names)
        if "labels" in names:
            assert names["labels"].shape == (128, 256)
