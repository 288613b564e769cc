from pathlib import Path
from typing import Any

from frugalseg.reports.label_curves import draw_label_curves


def run(clusters: int, labels: tuple[int, ...] = (10, 50)) -> dict[str, Any]:
    spread = {"mean": 0.8, "least": 0.7, "greatest": 0.9}
    return {
        "run": f"run{clusters}",
        "over_clusters": clusters,
        "by_share": [{"share": share, "accuracy": spread} for share in (1.0, 0.1)],
        "by_choice": [{"labels": n, "suggested": 0.8, "random": spread} for n in labels],
    }


def panels(runs: list[dict[str, Any]], path: Path) -> int:
    draw_label_curves(runs, path)
    return path.read_text().count('id="axes_')


def test_curves_against_k_are_drawn_where_runs_differ_in_it(tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    assert panels([run(20)], path) == 2
    assert panels([run(20), run(20)], path) == 2
    assert panels([run(20), run(50)], path) == 3
    assert panels([run(20, labels=())], path) == 1


def test_the_same_curves_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_label_curves([run(20), run(50)], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
