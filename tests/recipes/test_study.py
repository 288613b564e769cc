import json
import shutil
from pathlib import Path

from tiny import TINY, cli, refused


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


def test_what_cannot_be_is_known_before_any_training(scenes: Path, tmp_path: Path) -> None:
    data = shutil.copytree(scenes, tmp_path / "data")
    where = ("--out", tmp_path / "out", "--runs", tmp_path / "runs")
    common = ("study", data, *TINY, *where, "--samplers", "density", "--split", "test")
    refused(cli(*common, "--sizes", "16x32", "--samplers", "unifrom"), "did you mean 'uniform'")
    refused(cli(*common, "--sizes", "16x32", "--sizes", "900x900"), "give a smaller --size")
    victim = next((data / "images" / "test").iterdir())
    victim.write_bytes(victim.read_bytes()[:2000])
    refused(cli(*common, "--sizes", "16x32"), victim.name)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "out").exists()


def test_results_of_other_settings_are_not_shown_again(scenes: Path, tmp_path: Path) -> None:
    common = ["study", scenes, *TINY, "--out", tmp_path / "out", "--runs", tmp_path / "runs"]
    common += ["--samplers", "uniform", "--sizes", "16x32"]
    assert cli(*common).code == 0
    refused(cli(*common, "--loss", "cross-entropy"), "made with other settings (variant: ")
    refused(cli(*common, "--split", "test"), "split: val there, test asked")
    smp = [word for word in common if word not in TINY[-4:]] + ["--segmenter", "unet"]
    refused(cli(*smp), "segmenter: unet-plain there, unet asked")
    path = tmp_path / "out" / "uniform-16x32-0.json"
    result = json.loads(path.read_text())
    named = {"segmenter": "unet", "encoder": "resnet10t", "variant": "sampler_steps=4, batch=2"}
    path.write_text(json.dumps({**result, "what": {**result["what"], **named}}))
    refused(cli(*smp), "encoder: resnet10t there")
    path.write_text(json.dumps(result))
    other = shutil.copytree(scenes, tmp_path / "other")
    refused(cli("study", other, *common[2:]), "data: scenes there, other asked")
    assert cli(*common).code == 0
