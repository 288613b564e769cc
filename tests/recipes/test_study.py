from pathlib import Path

from tiny import TINY, cli


def test_a_study_that_grows_tells_all_that_is_there(scenes: Path, tmp_path: Path) -> None:
    common = [*TINY, "--out", tmp_path / "out", "--runs", tmp_path / "runs"]
    first = cli("study", scenes, *common, "--samplers", "density", "--sizes", "16x32")
    assert first.code == 0, first.err
    made = (tmp_path / "out" / "density-16x32-0.json").read_bytes()
    second = cli(
        "study", scenes, *common, "--samplers", "uniform", "--sizes", "16x32", "--seeds", "1"
    )
    assert second.code == 0, second.err
    assert (tmp_path / "out" / "density-16x32-0.json").read_bytes() == made
    rows = (tmp_path / "out" / "table.md").read_text().splitlines()[2:4]
    assert [row.split("|")[1].strip() for row in rows] == ["uniform", "density"]
    curve = (tmp_path / "out" / "curve.svg").read_text()
    for text in ("uniform", "density", "mIoU all", "mIoU target"):
        assert f"<!-- {text} -->" in curve  # matplotlib names its texts so
