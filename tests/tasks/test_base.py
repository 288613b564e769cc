from pathlib import Path

import pytest

from frugalseg.tasks.names import data_name, label_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "data"),
        ("site1/data", "data"),
        ("site2/../site1/data", "data"),
        ("site2/photos", "photos"),
        ("site2/data", "site2-data"),
        ("more/site1/data", "more-site1-data"),
        ("/data", "root-data"),
    ],
)
def test_only_the_runs_own_data_have_their_plain_name(
    given: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert data_name("site1/data", given) == name


@pytest.mark.parametrize(
    ("own", "given", "name"),
    [
        ("folders", None, ""),
        ("folders", "folders", ""),
        (None, "folders", "-by-folders"),
        (None, "run/to_label.csv", "-by-to_label"),
        ("a/labels.csv", "a/../a/labels.csv", ""),
        ("a/labels.csv", "b/labels.csv", "-by-b-labels"),
        ("a/labels.csv", Path("masks/2024.05"), "-by-2024.05"),
    ],
)
def test_only_labels_that_are_not_the_runs_own_are_named(
    own: str | None, given: str | Path | None, name: str
) -> None:
    assert label_name("labels", own, given) == name
