"""Tiny scenes, and runs trained on them, for the tests of the whole."""

from pathlib import Path

import pytest

from tiny import CLUSTERS, TINY, cli, write_digits


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Street scenes of 128x256 pixels: 6 for training, 3 val, 2 test. Not to be changed."""
    from frugalseg.demo.scenes import write_scenes

    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes(folder, 6, 3, 2, (128, 256))
    return folder


@pytest.fixture(scope="session")
def trained(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of finished runs by sampler: density and uniform. Not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    runs = {}
    for sampler in ("density", "uniform"):
        runs[sampler] = root / sampler
        answer = cli("segment", scenes, "--run", runs[sampler], "--sampler", sampler, *TINY)
        assert answer.code == 0, answer.err
    return runs


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 digits as files in folders by kind, labels.csv beside it. Not to be changed."""
    folder = tmp_path_factory.mktemp("digits") / "digits"
    write_digits(folder)
    return folder


@pytest.fixture(scope="session")
def grouped(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished clustering run of the digits. Not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "grouped"
    answer = cli("cluster", digits, "--run", run, "--labels", "folders", *CLUSTERS)
    assert answer.code == 0, answer.err
    return run
