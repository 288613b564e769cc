import copy
import json
import stat

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import (
    environment,
    group_seeds,
    markdown_table,
    markdown_table_over_seeds,
    read_result,
    run_label,
    write_result,
)
from reference.results import made_up_result


def test_a_result_comes_back_as_it_was_written(tmp_path):
    result = made_up_result()
    path = tmp_path / "new" / "val.json"
    write_result(result, path)
    assert read_result(path) == result
    assert [file.name for file in path.parent.iterdir()] == ["val.json"]


@pytest.mark.parametrize(
    ("part", "key", "said"),
    [
        ("what", "seed", "what.seed"),
        ("cost", "seconds", "cost.seconds"),
        ("scores", None, "scores"),
        ("pixels_read", None, "pixels_read"),
    ],
)
def test_an_incomplete_result_is_refused_both_ways(tmp_path, part, key, said):
    result = copy.deepcopy(made_up_result())
    if key:
        del result[part][key]
    else:
        del result[part]
    path = tmp_path / "val.json"
    with pytest.raises(ValueError, match=said):
        write_result(result, path)
    assert not path.exists()
    path.write_text(json.dumps(result))
    with pytest.raises(FrugalsegError, match=rf"val\.json: the result lacks {said}"):
        read_result(path)


def test_a_result_without_a_total_is_refused(tmp_path):
    result = made_up_result()
    del result["cost"]["multiply_adds"]["total"]
    with pytest.raises(ValueError, match=r"cost\.multiply_adds\.total"):
        write_result(result, tmp_path / "val.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "not a JSON file"),
        ("[]", "format 1"),
        ('{"format": 2}', "1"),
    ],
)
def test_what_is_not_a_result_file_is_refused(tmp_path, text, said):
    path = tmp_path / "val.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(FrugalsegError, match=rf"val\.json: .*{said}"):
        read_result(path)


def test_numbers_that_are_not_finite_are_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "val.json"
    write_result(made_up_result(), path)
    broken = made_up_result()
    broken["folded_cells"] = float("nan")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_result(broken, path)
    assert read_result(path) == made_up_result()


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
    table = markdown_table(results).splitlines()
    assert len(table) == 2 + 4
    assert table[2].startswith("| uniform-64-0 | uniform | 64x64 | 0 | 0.500 |")
    grouped = markdown_table_over_seeds(results).splitlines()
    assert grouped[2].startswith("| uniform | 64x64 | 3 | 0.600 (0.500 to 0.700) |")
    assert grouped[3].startswith("| density | 32x32 | 1 | 0.900 |")


def test_results_that_differ_by_more_than_the_seed_stand_alone():
    seeds = [made_up_result(seed=0), made_up_result(seed=1)]
    assert [len(group) for group in group_seeds(seeds)] == [2]
    other = made_up_result(seed=0)
    other["what"]["run"] = "another-loss"
    assert [len(group) for group in group_seeds([*seeds, other])] == [1, 1, 1]
    other["what"]["variant"] = "another loss"
    assert [len(group) for group in group_seeds([*seeds, other])] == [2, 1]


def test_label():
    assert run_label(made_up_result("density", 32)) == "density 32x32"
