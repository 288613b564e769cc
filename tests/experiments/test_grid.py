import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from experiments.grid import Grid, run_grid
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.config import ClusterConfig
from frugalseg.tasks.finetune.config import FinetuneConfig
from shapes import TINY as CLUSTERS
from shapes import shapes
from textures import TINY as REGIONS
from textures import write_textures
from tiny import TINY, answer, refused

experiment = partial(answer, main)


def test_a_grid_that_grows_tells_all_that_is_there(scenes: Path, tmp_path: Path) -> None:
    common = ["study", scenes, *TINY, "--out", tmp_path / "out", "--runs", tmp_path / "runs"]
    first = experiment(*common, "--samplers", "density", "--sizes", "16x32")
    assert first.code == 0, first.err
    made = (tmp_path / "out" / "density-16x32-0.json").read_bytes()
    second = experiment(*common, "--samplers", "uniform", "--sizes", "16x32", "--seeds", "1")
    assert second.code == 0, second.err
    assert (tmp_path / "out" / "density-16x32-0.json").read_bytes() == made
    table = (tmp_path / "out" / "table.md").read_text()
    assert table == second.out
    rows = table.splitlines()[2:4]
    assert [row.split("|")[2].strip() for row in rows] == [
        "uniform",
        "density",
    ]
    curve = (tmp_path / "out" / "curve.svg").read_text()
    for text in ("uniform", "density", "mIoU all", "mIoU target"):
        assert f"<!-- {text} -->" in curve  # matplotlib names its texts so


def test_what_cannot_be_is_known_before_any_training(scenes: Path, tmp_path: Path) -> None:
    data = shutil.copytree(scenes, tmp_path / "data")
    where = ("--out", tmp_path / "out", "--runs", tmp_path / "runs")
    common = ("study", data, *TINY, *where, "--samplers", "density", "--split", "test")
    refused(experiment(*common, "--sizes", "16x32", "--samplers", "unifrom"), "mean 'uniform'")
    refused(experiment(*common, "--sizes", "16x32", "--sizes", "900x900"), "a smaller --size")
    refused(experiment(*common[:-1], "tset", "--sizes", "16x32"), "no images in the split 'tset'")
    victim = next((data / "images" / "test").iterdir())
    victim.write_bytes(victim.read_bytes()[:2000])
    refused(experiment(*common, "--sizes", "16x32"), victim.name)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "out").exists()


def test_results_of_other_settings_are_not_shown_again(scenes: Path, tmp_path: Path) -> None:
    common = ["study", scenes, *TINY, "--out", tmp_path / "out", "--runs", tmp_path / "runs"]
    common += ["--samplers", "uniform", "--sizes", "16x32"]
    assert experiment(*common).code == 0
    refused(experiment(*common, "--loss", "cross-entropy"), "(loss: balanced there, cross-entropy")
    refused(experiment(*common, "--split", "test"), "split: val there, test asked")
    smp = [word for word in common if word not in TINY[-4:]] + ["--segmenter", "unet"]
    refused(experiment(*smp), "segmenter: unet-plain there, unet asked")
    path = tmp_path / "out" / "uniform-16x32-0.json"
    result = json.loads(path.read_text())
    del result["settings"]["flips"]  # a setting of later versions
    path.write_text(json.dumps(result))
    assert experiment(*common).code == 0
    refused(experiment(*common, "--flips", "both"), "flips: horizontal there, both asked")
    del result["settings"]
    path.write_text(json.dumps(result))
    refused(experiment(*common), "does not say its settings")
    shutil.copy(tmp_path / "out" / "table.md", path)
    refused(experiment(*common), "it is not JSON")
    path.unlink()
    other = shutil.copytree(scenes, tmp_path / "other")
    assert experiment(*common).code == 0
    refused(experiment("study", other, *common[2:]), "data: scenes there, other asked")
    moved = shutil.copytree(scenes, tmp_path / "elsewhere" / "scenes")
    assert experiment("study", moved, *common[2:]).code == 0  # the same data at another place


def test_clusterings_of_several_settings_and_seeds(tmp_path: Path) -> None:
    def grid(**changes: Any) -> str:
        config = ClusterConfig(**CLUSTERS | changes)
        vary = {"num_views": [1, 2], "shuffle": [True, False]}
        return run_grid(Grid(config, tmp_path / "out", tmp_path / "runs", vary, (0, 1)), shapes())

    table = grid()
    names = {path.stem for path in (tmp_path / "out").glob("*.json")}
    assert names == {f"{n}-{s}-{i}" for n in "12" for s in ("shuffle", "not_shuffle") for i in "01"}
    assert table.count("\n| ") == 1 + 4  # means over seeds
    assert "If labels chose the step" in table
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert grid(devices="1") == table  # hardware is no setting
    assert times == {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.json")}
    result = json.loads((tmp_path / "out" / "1-shuffle-0.json").read_text())
    assert result["settings"]["num_views"] == 1
    assert result["training_seconds"] >= 0
    with pytest.raises(FrugalsegError, match=r"entropy_weight: 1.0 there, 2.0 asked"):
        grid(entropy_weight=2.0)


def test_regions_by_the_command_and_fine_tuning_of_clusters(tmp_path: Path, digits: Path) -> None:
    data = write_textures(tmp_path / "textures", 6)
    (tmp_path / "own.yaml").write_text("task: discover\nmasks: folder\nchannels: rgb\n")
    sets = [word for name, value in REGIONS.items() for word in (f"--set.{name}", str(value))]
    places = ("--out", tmp_path / "out", "--runs", tmp_path / "runs")
    words = [
        "grid",
        data,
        "--settings",
        tmp_path / "own.yaml",
        *sets,
        "--vary.steps",
        "1,2",
        *places,
    ]
    first = experiment(*words)
    assert first.code == 0, first.err
    assert "| own-1 |" in first.out
    assert "<!-- accuracy -->" in (tmp_path / "out" / "curve.svg").read_text()
    refused(experiment(*words, "--set.corp", "3"), "unknown setting 'corp' (did you mean 'crop'?)")
    refused(experiment(*words[:3], "regions", *places), "mean 'regions-paper'")
    (tmp_path / "own.yaml").write_text("steps: 3\n")
    refused(experiment(*words), "must name its task")


def test_fine_tuning_by_share_of_labels(grouped: Path, tmp_path: Path) -> None:
    config = FinetuneConfig(clustering=str(grouped), steps=1)
    vary = {"share": [0.5, 1.0], "untrained": [False, True]}
    table = run_grid(Grid(config, tmp_path / "out", tmp_path / "runs", vary))
    assert table.count("\n| ") == 1 + 4
    curve = (tmp_path / "out" / "curve.svg").read_text()
    assert "<!-- from nothing -->" in curve
    assert "<!-- on the clustered backbone -->" in curve


def test_the_list_of_experiments_has_a_line_for_each() -> None:
    listed = experiment("--help").out
    for name in ("grid", "study", "paper", "label-efficiency", "boundary-transfer", "latency"):
        assert f" {name} " in listed
        options = experiment(name, "--help").out
        assert "--out" in options
