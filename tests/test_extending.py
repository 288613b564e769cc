"""The example of one's own trunk in docs/extending.md, run on tiny data."""

import re
from pathlib import Path
from typing import Any

import pytest

from textures import write_textures

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")


def test_the_example_of_a_trunk_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"^```python\n(from pathlib[^`]*trunk=trunk[^`]*)^```", PAGE, re.M)
    write_textures(tmp_path, 8)
    (tmp_path / "images").rename(tmp_path / "PHOTOS")
    monkeypatch.chdir(tmp_path)
    block = re.sub(r"steps=\d+", "steps=1, batch=4, over_classes=4", block).replace(
        'over_classes=4), Path("GROUPS', 'over_clusters=4), Path("GROUPS'
    )
    names: dict[str, Any] = {}
    exec(block.replace('"IMAGE"', "'PHOTOS/00.png'"), names)
    assert names["groups"].shape == (8,)
    assert names["labels"].shape == (48, 64)
