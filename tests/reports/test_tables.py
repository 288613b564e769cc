import numpy as np

from frugalseg.reports.tables import confusion_table, markdown_table, spread_cell


def test_words_stand_left_and_numbers_right() -> None:
    lines = markdown_table(["a", "b", "n"], [["x|y", "z", 3]], words=2).splitlines()
    assert lines == ["| a | b | n |", "| --- | --- | ---: |", r"| x\|y | z | 3 |"]


def test_a_cell_holds_the_mean_and_its_range() -> None:
    assert spread_cell((0.5, 0.25, 0.75), ".1f", 100) == {
        "text": "50.0",
        "range": "25.0 to 75.0",
        "value": 0.5,
    }
    assert spread_cell((1.0, 1.0, 1.0), ".3f")["range"] == ""
    assert spread_cell(None, ".3f") == {"text": "none", "range": "", "value": None}


def test_counts_are_shaded_by_their_share_of_the_group() -> None:
    counts = np.array([[3, 1], [0, 0]])
    table = confusion_table(counts, ["one", "two"], ["a", "b"], shares=False)
    first, second = ([cell["text"], cell["tint"]] for cell in table["rows"][0]["cells"])
    assert (first, second) == (["3", 0.45], ["1", 0.15])
    assert table["rows"][1]["cells"][0] == {"text": "", "tint": 0.0, "count": "0"}
    shares = confusion_table(counts, ["one", "two"], ["a", "b"], shares=True)
    assert [cell["text"] for cell in shares["rows"][0]["cells"]] == ["75%", "25%"]
