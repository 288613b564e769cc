import subprocess
import sys

import pytest

from frugalseg import console
from frugalseg.console import log, track


def test_a_library_says_nothing_and_a_command_line_says_it_on_standard_error() -> None:
    code = (
        "from frugalseg.console import log, show, track\n"
        "log.warning('unheard')\nlist(track([1, 2], 'images'))\n"
        "show()\nshow()\nlog.info('begins')\nlog.warning('broken.png cannot be read.')\n"
        "print(sum(track([1, 2], 'images')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
    assert done.stderr == "begins\nfrugalseg: broken.png cannot be read.\n"


def test_progress_is_drawn_where_someone_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "shows_progress", lambda: True)
    assert list(track(iter("abc"), "images", total=3)) == ["a", "b", "c"]
    assert "3/3" in capsys.readouterr().err
    assert log.name == "frugalseg"
