"""The scripts in examples/, run on tiny data."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from textures import write_textures
from tiny import write_digits

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_uses_what_is_public(path: Path) -> None:
    text = path.read_text()
    assert 40 <= text.count("\n") <= 75
    imports = [line for line in text.splitlines() if line.startswith(("import", "from"))]
    assert not any("._" in line or " _" in line for line in imports)


def test_a_sampler_of_ones_own(scenes: Path, tmp_path: Path) -> None:
    scores = example("own_sampler").main(scenes, tmp_path, steps=2)
    assert scores.keys() == {"uniform", "gradient-example"}
    assert all(0 <= score <= 1 for score in scores.values())


def test_a_segmenter_of_ones_own(scenes: Path, tmp_path: Path) -> None:
    assert example("own_segmenter").main(scenes, tmp_path / "run", steps=2) == (128, 256)


def test_clusters_of_a_folder_of_classes(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    accuracy = example("clusters").main(tmp_path / "digits", tmp_path / "run", 3, steps=2)
    assert 1 / 3 <= accuracy <= 1


def test_regions(tmp_path: Path) -> None:
    write_textures(tmp_path / "textures", 4)
    phi = example("regions").main(tmp_path / "textures", tmp_path / "run", 2)
    assert phi.shape == (64, 64, 2)
    assert np.all((phi >= 0) & (phi <= 1))
