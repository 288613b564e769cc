import csv
from pathlib import Path

import numpy as np
import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.export import read_assignments, write_choices


def test_one_line_an_image_with_the_second_choice(tmp_path: Path) -> None:
    names = ["a,b.jpg", 'say "hello".jpg']
    probabilities = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    path = tmp_path / "run" / "assignments.csv"
    write_choices(names, probabilities, path, titles=("oak", "fir", "ash"))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "file": "a,b.jpg",
        "cluster": "2",
        "confidence": "0.7000",
        "second_choice": "1",
        "second_confidence": "0.2000",
        "name": "ash",
    }
    assert rows[1]["file"] == names[1]
    assert read_assignments(path) == {names[0]: 2, names[1]: 0}
    write_choices(names, probabilities, path)
    assert path.read_text().splitlines()[0].endswith("second_confidence")


def test_what_is_no_such_table(tmp_path: Path) -> None:
    path = tmp_path / "assignments.csv"
    path.write_text("file,cluster\na,x\n")
    with pytest.raises(FrugalsegError, match="whole numbers"):
        read_assignments(path)
    with pytest.raises(FrugalsegError, match="cannot be read"):
        read_assignments(tmp_path / "none.csv")
