import re
from pathlib import Path

from experiments.panels import Line, Panel, draw_panels


def test_panels_stand_side_by_side(tmp_path: Path) -> None:
    line = Line("many", [1, 10, 100], [0.1, 0.2, 0.3], [0.0, 0.1, 0.2], [0.2, 0.3, 0.4])
    panels = [Panel("labels", [line]), Panel("steps", [line], by_factors=False, up="loss")]
    for name in ("a.svg", "b.svg"):
        draw_panels(panels, "accuracy", tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert len(re.findall(r'<g id="axes_\d"', text)) == 2
