import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.cli import app
from frugalseg.data.images import image_size
from frugalseg.demo.scenes import SCENE_CLASSES
from tiny import TINY, cli, trained_with


def test_check_says_what_a_folder_holds(scenes: Path) -> None:
    answer = cli("check", scenes)
    assert answer.code == 0
    assert "train 6, val 3, test 2" in answer.out
    assert "128x256 11" in answer.out
    for name in SCENE_CLASSES.names:
        assert name in answer.out


def test_segment_leaves_a_whole_run(trained: dict[str, Path]) -> None:
    run = trained["density"]
    assert sorted(p.name for p in run.iterdir()) == [
        "classes.csv",
        "config.yaml",
        "environment.json",
        "metrics.jsonl",
        "report.html",
        "results",
        "state.json",
        "weights.safetensors",
    ]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(line["training"], line["step"]) for line in lines] == [
        ("sampler", 4),
        ("segmenter", 4),
    ]
    with (run / "classes.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == list(SCENE_CLASSES.names)
    result = json.loads((run / "results" / "scenes-val.json").read_text())
    assert result["what"]["images"] == 3
    page = (run / "report.html").read_text()
    assert "<h1>density 16x32 on scenes, val</h1>" in page
    assert page.index("<h2>Pictures</h2>") < page.index("<h2>Cost and quality</h2>")
    assert "<h2>Quality against cost</h2>" not in page  # one run is no curve
    assert set(result["scores"]["iou"]) == set(SCENE_CLASSES.names)


def test_a_finished_run_is_not_trained_again(scenes: Path, trained: dict[str, Path]) -> None:
    weights = trained["uniform"] / "weights.safetensors"
    before = weights.stat().st_mtime_ns
    answer = cli("segment", scenes, "--run", trained["uniform"], "--sampler", "uniform", *TINY)
    assert answer.code == 0
    assert "is finished already" in answer.err
    assert weights.stat().st_mtime_ns == before


def test_predict_keeps_names_and_sizes(
    trained: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    Image.open(scenes / "images/test/scene_00000.jpg").crop((0, 0, 201, 99)).save(photos / "a.png")
    Image.open(scenes / "images/test/scene_00001.jpg").save(photos / "deep" / "b.jpg")
    answer = cli("predict", trained["density"], photos, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert answer.out == ""
    for name, photo in (("a", "a.png"), ("deep/b", "deep/b.jpg")):
        labels = Image.open(tmp_path / "out" / f"{name}.png")
        assert (labels.height, labels.width) == image_size(photos / photo)
        assert set(np.unique(np.array(labels))) <= {c.id for c in SCENE_CLASSES.classes}
        assert image_size(tmp_path / "out" / f"{name}.overlay.jpg") == image_size(photos / photo)


def test_evaluate_compare_and_sampling(
    trained: dict[str, Path], scenes: Path, tmp_path: Path
) -> None:
    answer = cli("evaluate", trained["density"], "--split", "test")
    assert answer.code == 0, answer.err
    assert "density" in answer.out
    result = json.loads((trained["density"] / "results" / "scenes-test.json").read_text())
    assert result["what"]["split"] == "test"
    assert result["cost"]["multiply_adds"]["sampler"] > 0

    other = shutil.copytree(scenes, tmp_path / "site" / "scenes")
    answer = cli("evaluate", trained["density"], "--split", "test", "--data", other)
    assert answer.code == 0, answer.err
    found = json.loads((trained["density"] / "results" / "scenes-test.json").read_text())
    assert found == result
    assert (trained["density"] / "results" / "site-scenes-test.json").is_file()

    page = tmp_path / "page.html"
    words = (trained["density"], trained["uniform"], "--split", "test", "--out", page)
    answer = cli("compare", *words, "--images", "2")
    assert answer.code == 0, answer.err
    assert answer.out.count("| 16x32 |") == 2
    html = page.read_text()
    assert "scene_00000" in html
    assert "scene_00001" in html

    another = shutil.copytree(trained["density"], tmp_path / "another")
    shutil.rmtree(another / "results")
    trained_with(seed=5)(another)
    answer = cli("compare", trained["density"], another, "--images", "1", "--out", page)
    assert answer.code == 0, answer.err
    headings = re.findall(r'<p class="run">(.*?)</p>', page.read_text())
    assert headings == ["density 16x32, seed 0", "density 16x32, seed 5"]

    image = scenes / "images/test/scene_00000.jpg"
    mask = scenes / "masks/test/scene_00000.png"
    for out in ("s.svg", "s.html"):
        words = ("sampling", image, "--run", trained["density"], "--out", tmp_path / out)
        assert cli(*words).code == 0
    assert "image and answer" in (tmp_path / "s.html").read_text()
    answer = cli("sampling", image, "--mask", mask, "--size", "16x32", "--out", tmp_path / "s.html")
    assert answer.code == 0, answer.err
    assert "energy, smoothness 0.12" in (tmp_path / "s.html").read_text()
    assert "image and mask" in (tmp_path / "s.html").read_text()


def test_yaml_gives_options_and_the_command_line_goes_first(scenes: Path, tmp_path: Path) -> None:
    from frugalseg.engine.run_dir import RunDir
    from frugalseg.tasks.segment.config import SegmentConfig

    config = tmp_path / "options.yaml"
    config.write_text(
        "segment:\n  size: 16x32\n  steps: 2\n  sampler-steps: 2\n  batch-size: 2\n"
        "  sampler_options: {share: 0.3}\n  segmenter: unet-plain\n"
        "  segmenter-options: {widths: [4, 8]}\n  coordinates: false\n  targets: [car, sign]\n"
        "evaluate:\ncluster: {augment-options: {side: 8}}\nprepare:\n  potsdam: {crop: 100}\n"
    )
    run = tmp_path / "run"
    answer = cli("segment", scenes, "--run", run, "--config", config, "--steps", "1")
    assert answer.code == 0, answer.err
    found = RunDir(run).config(SegmentConfig)
    assert (found.size, found.steps, found.batch_size) == ((16, 32), 1, 2)
    assert found.sampler_options == {"share": 0.3}
    assert found.targets == ("car", "sign")
    assert not found.coordinates


def test_a_section_of_yaml_may_be_empty(scenes: Path, tmp_path: Path) -> None:
    config = tmp_path / "options.yaml"
    for text in ("check:\n", "check: {}\n", "prepare:\n", ""):
        config.write_text(text)
        answer = cli("check", scenes, "--config", config)
        assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("segment:\n  stepz: 2\n", "no option 'stepz' below 'segment:' (did you mean 'steps'?)"),
        ("segment:\n  data: here\n", "no option 'data'"),
        ("segment:\n  size: {rows: 3}\n", "'size' below 'segment:' has no options of its own"),
        ("segment: 3\n", "below 'segment:' there must be options"),
        ("evaluate: {splitt: 1}\n", "no option 'splitt' below 'evaluate:' (did you mean 'split'"),
        ("prepare: {out: here}\n", "not 'out'. Commands: cocostuff, potsdam."),
        ("prepare:\n  potsdam: {crp: 3}\n", "below 'prepare: potsdam:' (did you mean 'crop'?)"),
        ("segmnt:\n  steps: 2\n", "'segmnt'"),
        ("steps: 2\n", "'steps'"),
        ("- steps\n", "below the name of their command"),
        ("segment: {", "cannot be read"),
        ("segment:\n  size: large\n", "'large' is no size"),
        ("segment:\n  steps: many\n", "many"),
    ],
)
def test_yaml_that_is_refused(scenes: Path, tmp_path: Path, text: str, says: str) -> None:
    config = tmp_path / "options.yaml"
    config.write_text(text)
    answer = cli("segment", scenes, "--run", tmp_path / "run", "--config", config)
    assert answer.code == 2
    assert says in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_program_itself_answers_and_fails(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "frugalseg"

    def start(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([program, *words], capture_output=True, text=True, cwd=tmp_path)

    told = start("--help")
    assert told.returncode == 0
    assert all(name in told.stdout for name in app if not name.startswith("-"))
    failed = start("check", "nowhere")
    assert failed.returncode == 2
    assert failed.stderr.startswith("frugalseg: nowhere")


def test_import_and_help_are_light() -> None:
    code = (
        "import sys, frugalseg, frugalseg.cli\n"
        "heavy = {'torch', 'lightning', 'timm', 'matplotlib', 'numba', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
