import copy
import dataclasses
import json
import stat
from typing import Any

import pytest

from frugalseg.engine.environment import environment
from frugalseg.engine.results import Result, group_seeds, read_result, results_table, write_result
from frugalseg.errors import FrugalsegError
from frugalseg.tasks import TASKS
from frugalseg.tasks.segment.evaluate import RESULT
from reference.results import made_up_result, plain_result


def with_what(result: Result, **what: Any) -> Result:
    return dataclasses.replace(result, what={**result.what, **what})


def test_a_result_comes_back_as_it_was_written(tmp_path):
    result = made_up_result()
    path = tmp_path / "new" / "val.json"
    write_result(result, path)
    assert read_result(path, RESULT) == result
    assert [file.name for file in path.parent.iterdir()] == ["val.json"]


@pytest.mark.parametrize(
    ("part", "key", "said"),
    [
        ("what", "seed", "what.seed"),
        ("what", "blend", "what.blend"),
        ("cost", "seconds", "cost.seconds"),
        ("scores", None, "scores"),
        ("cost", None, "cost"),
    ],
)
def test_an_incomplete_result_is_refused(tmp_path, part, key, said):
    result = copy.deepcopy(plain_result())
    if key:
        del result[part][key]
    else:
        del result[part]
    path = tmp_path / "val.json"
    path.write_text(json.dumps(result))
    with pytest.raises(FrugalsegError, match=rf"val\.json: the result lacks {said}"):
        read_result(path, RESULT)


def test_an_incomplete_result_is_not_written(tmp_path):
    result = made_up_result()
    with pytest.raises(ValueError, match="cost"):
        write_result(dataclasses.replace(result, parts={}), tmp_path / "val.json")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "it is not JSON"),
        ("[]", "format 1"),
        ('{"format": 1, "task": "cluster"}', "of 'cluster', not of 'segment'"),
        ('{"format": 2}', "1"),
    ],
)
def test_what_is_not_a_result_file_is_refused(tmp_path, text, said):
    path = tmp_path / "val.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FrugalsegError, match=rf"val\.json.*{said}"):
        read_result(path, RESULT)


def test_numbers_that_are_not_finite_are_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "val.json"
    write_result(made_up_result(), path)
    result = made_up_result()
    broken = dataclasses.replace(result, parts={**result.parts, "folded_cells": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_result(broken, path)
    assert read_result(path, RESULT) == made_up_result()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    blocker = tmp_path / "file"
    blocker.touch(mode=stat.S_IRUSR)
    with pytest.raises(FrugalsegError, match="cannot be written"):
        write_result(made_up_result(), blocker / "val.json")


def test_environment_is_ready_for_json_and_complete():
    here = environment()
    assert json.loads(json.dumps(here)) == here
    assert here["cores"] >= 1
    assert here["torch"].startswith("2.")
    assert here["date"].endswith("+00:00")


def test_the_commit_is_that_of_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert environment()["git"] is None


def test_tables():
    results = [made_up_result("uniform", 64, seed, miou=0.5 + seed / 10) for seed in range(3)]
    results.append(made_up_result("density", 32, 0, miou=0.9))
    table = results_table(results, over_seeds=False).splitlines()
    assert len(table) == 2 + 4
    encoder = "tf_efficientnet_lite0"
    assert table[2].startswith(
        f"| uniform-64 | uniform | 64x64 | unet | {encoder} | 600 | 0 | 0.500 |"
    )
    grouped = results_table(results).splitlines()
    row = f"| uniform-64 | uniform | 64x64 | unet | {encoder} | 600 | 3 | 0.600 (0.500 to 0.700) |"
    assert grouped[2].startswith(row)
    assert grouped[3].startswith("| density-32 | density | 32x32 |")


def test_results_that_differ_by_more_than_the_seed_stand_alone():
    seeds = [made_up_result(seed=0), made_up_result(seed=1)]
    assert [len(group) for group in group_seeds(seeds)] == [2]
    other = with_what(made_up_result(seed=0), run="another-loss")
    assert [len(group) for group in group_seeds([*seeds, other])] == [1, 1, 1]
    other = with_what(other, variant="another loss")
    assert [len(group) for group in group_seeds([*seeds, other])] == [2, 1]


@pytest.mark.parametrize("name", list(TASKS))
def test_the_results_of_every_task_have_a_table(name):
    kind = TASKS[name].result
    parts = {"diagnostics": {"used": 3, "entropy": 0.1}, "losses": [-1.0]}
    parts["cost"] = {"multiply_adds": {"total": 1e6}, "seconds": {"total": 0.1}}
    scores = {"accuracy": 0.5, "balanced": 0.4, "images": 3, "miou": 0.25}
    if name == "segment":
        scores["miou"] = {"all": 0.25, "target": None}
    what = {"run": "a", "data": "d", "split": "all", "seed": 0}
    table = results_table([Result(kind, what, {}, scores, parts)]).splitlines()
    assert len(table) == 3
    assert all(line.count("|") == table[0].count("|") for line in table)


def test_seeds_share_a_row_and_what_is_not_scored_is_said():
    kind = TASKS["cluster"].result
    parts = {"diagnostics": {"used": 3.0, "entropy": 0.1}, "losses": [-1.0, -0.5]}

    def result(run: str, seed: int, accuracy: float | None, clusters: int = 3) -> Result:
        what = {"run": run, "data": "digits", "split": "all", "seed": seed, "clusters": clusters}
        scores = None if accuracy is None else {"accuracy": accuracy, "nmi": 0.5, "ari": 0.25}
        return Result(kind, what, {}, scores, parts)

    rows = results_table([result("a", 0, 0.5), result("b", 1, 0.75), result("c", 0, None, 4)])
    rows = rows.splitlines()
    assert "| 0.625 (0.500 to 0.750) | 0.500 | 0.250 | -1.000 | 3 | 0.100 |" in rows[2]
    assert rows[2].startswith("| a, ... |")
    assert "| none | none | none | -1.000 |" in rows[3]
