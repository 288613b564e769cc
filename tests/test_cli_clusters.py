"""Clustering through the real command line."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tiny import CLUSTERS, cli


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_is_whole(grouped: Path, digits: Path) -> None:
    there = {path.name for path in grouped.iterdir()}
    assert there >= {"config.yaml", "state.json", "weights.safetensors", "metrics.jsonl"}
    assert there >= {"assignments.csv", "report.html", "results", "environment.json"}
    assert "checkpoints" not in there
    table = rows(grouped / "assignments.csv")
    assert [row["file"] for row in table] == sorted(
        path.relative_to(digits).as_posix() for path in digits.glob("*/*.png")
    )
    for row in table:
        assert 0 <= int(row["cluster"]) < 3
        assert int(row["second_choice"]) != int(row["cluster"])
        assert float(row["confidence"]) >= float(row["second_confidence"])
    html = (grouped / "report.html").read_text()
    assert "36 images in 3 clusters" in html
    assert "Learning curves" in html
    result = json.loads((grouped / "results" / "digits-all.json").read_text())
    assert result["task"] == "cluster"
    assert result["what"]["images"] == 36
    assert 1 / 3 <= result["scores"]["accuracy"] <= 1
    assert result["diagnostics"]["clusters"] == 3


def test_a_finished_run_is_not_trained_again(grouped: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(grouped, tmp_path / "grouped")
    before = (run / "weights.safetensors").read_bytes()
    answer = cli("cluster", digits, "--run", run, "--labels", "folders", *CLUSTERS)
    assert answer.code == 0, answer.err
    assert "is finished already" in answer.err
    assert (run / "weights.safetensors").read_bytes() == before


def test_the_same_seed_gives_the_same_groups(grouped: Path, digits: Path, tmp_path: Path) -> None:
    answer = cli("cluster", digits, "--run", tmp_path / "run", *CLUSTERS)
    assert answer.code == 0, answer.err
    one, other = rows(grouped / "assignments.csv"), rows(tmp_path / "run" / "assignments.csv")
    keys = ("file", "cluster", "confidence")  # the names come from the labels alone
    assert [[row[k] for k in keys] for row in one] == [[row[k] for k in keys] for row in other]
    assert "name" in one[0]
    assert "name" not in other[0]
    result = json.loads((tmp_path / "run" / "results" / "digits-all.json").read_text())
    assert result["scores"] is None


def test_predict_assigns_new_images_as_the_old_ones(
    grouped: Path, digits: Path, tmp_path: Path
) -> None:
    answer = cli("predict", grouped, digits / "1", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    old = {row["file"]: row for row in rows(grouped / "assignments.csv")}
    new = rows(tmp_path / "out" / "assignments.csv")
    assert len(new) == len(list((digits / "1").iterdir()))
    for row in new:
        assert row["cluster"] == old[f"1/{row['file']}"]["cluster"]
    assert f"{len(new)} images in 3 clusters" in (tmp_path / "out" / "report.html").read_text()


def test_evaluate_compare_and_suggest(grouped: Path, digits: Path, tmp_path: Path) -> None:
    run = shutil.copytree(grouped, tmp_path / "one")
    other = shutil.copytree(grouped, tmp_path / "two")
    answer = cli("evaluate", run, "--labels", digits.parent / "labels.csv")
    assert answer.code == 0, answer.err
    assert "| one | vgg-iic 2 | 3 | False | 4 | 1 |" in answer.out
    own = (grouped / "results" / "digits-all.json").read_bytes()
    again = json.loads((run / "results" / "digits-all-by-labels.json").read_text())
    scores = json.loads(own)["scores"]
    assert scores.pop("class_names") == ["0", "1", "2"]
    assert again["scores"].pop("class_names") == ["kind 0", "kind 1", "kind 2"]
    assert again["scores"] == scores

    answer = cli("compare", run, other, "--out", tmp_path / "page.html")
    assert answer.code == 0, answer.err
    assert "1.000" in (tmp_path / "page.html").read_text()

    answer = cli("suggest", run, "--number", "5")
    assert answer.code == 0, answer.err
    asked = rows(run / "to_label.csv")
    assert len(asked) == len({row["file"] for row in asked}) == 5
    assert all((digits / row["file"]).is_file() and row["label"] == "" for row in asked)
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == [r["file"] for r in asked]
    filled = "\n".join(["file,label", *(f"{row['file']},{row['file'][0]}" for row in asked)])
    (tmp_path / "filled.csv").write_text(filled)
    answer = cli("evaluate", run, "--labels", tmp_path / "filled.csv")
    assert answer.code == 0, answer.err
    assert "digits-all-by-filled.json" in answer.err
    assert (run / "results" / "digits-all.json").read_bytes() == own


def test_broken_and_double_files_are_named_and_the_rest_goes_on(
    digits: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(digits, tmp_path / "digits")
    shutil.copy(folder / "0" / "0000.png", folder / "again.png")
    content = (folder / "1" / "0001.png").read_bytes()
    (folder / "1" / "0001.png").write_bytes(content[:60])
    answer = cli("cluster", folder, "--run", tmp_path / "run", *CLUSTERS)
    assert answer.code == 0, answer.err
    assert f"{folder / '1' / '0001.png'} cannot be read" in answer.err
    assert "Images that are the same file (1), such as 0/0000.png, again.png" in answer.err
    names = [row["file"] for row in rows(tmp_path / "run" / "assignments.csv")]
    assert len(names) == 36
    assert "1/0001.png" not in names
    html = (tmp_path / "run" / "report.html").read_text()
    assert "0001.png cannot be read" in html
    assert "1 group of the same file (2 images)" in html


def test_the_number_of_clusters_can_be_left_open(digits: Path, tmp_path: Path) -> None:
    options = dict(zip(CLUSTERS[::2], CLUSTERS[1::2], strict=True)) | {"--clusters": "auto"}
    words = [word for pair in options.items() for word in pair]
    answer = cli("cluster", digits, "--run", tmp_path / "run", *words)
    assert answer.code == 0, answer.err
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["clusters"] == state["counts"]["chosen"] >= 2
    assert 'id="count"' in (tmp_path / "run" / "report.html").read_text()


def test_photographs_get_the_pretrained_network(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(16):  # half are bright stripes, half dark noise
        pixels = rng.integers(0, 60, (90, 120, 3), np.uint8)
        pixels[:, :: 12 if i % 2 else 200] += 180
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i:02d}.jpg")
    words = ("--clusters", "2", "--steps", "60", "--num-views", "1")
    answer = cli("cluster", tmp_path / "photos", "--run", tmp_path / "run", *words)
    assert answer.code == 0, answer.err
    table = rows(tmp_path / "run" / "assignments.csv")
    agreed = [int(row["cluster"]) == int(row["file"][:2]) % 2 for row in table]
    assert sum(agreed) <= 2 or sum(agreed) >= 14


@pytest.mark.parametrize("command", ["evaluate", "suggest", "predict", "compare", "cluster"])
def test_help_answers(command: str) -> None:
    assert cli(command, "--help").code == 0
