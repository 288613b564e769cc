import os
import subprocess
import sys
from pathlib import Path

import pytest

from frugalseg._numba_cache import give_numba_a_cache


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)


def forbid(monkeypatch: pytest.MonkeyPatch, *parts: str) -> None:
    """No folder whose path holds one of these can be written, not even by root."""
    allowed = os.access
    monkeypatch.setattr(
        os,
        "access",
        lambda path, mode: not any(p in str(path) for p in parts) and allowed(path, mode),
    )


def test_numbas_own_places_are_left_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    forbid(monkeypatch, "frugalseg")
    give_numba_a_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ


def test_without_any_there_is_a_temporary_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "locked" / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    forbid(monkeypatch, "frugalseg", str(tmp_path))
    give_numba_a_cache()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.parent == tmp_path
    code = "from frugalseg.sampling import *; import torch; print(equal_density_sampling("
    code += "torch.ones(1, 8, 8), (4, 4)).shape)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "4, 4, 2" in answer.stdout
    assert any(folder.rglob("*.nbi"))


def test_a_folder_that_others_can_write_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")  # the home of many a service
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    forbid(monkeypatch, "frugalseg")
    trap = tmp_path / f"frugalseg-numba-{os.getuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    give_numba_a_cache()
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    assert folder.parent == tmp_path
    assert folder != trap
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_place_of_the_users_choice_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/mine")
    forbid(monkeypatch, "/")
    give_numba_a_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "/mine"
