import csv
from pathlib import Path

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json_lines, read_table, write_csv


def test_half_a_last_line_is_left_out_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n{"st')
    assert read_json_lines(path) == [{"step": 1}, {"step": 2}]
    path.write_bytes(b'{"step": 1}\n\x00\xff')
    assert read_json_lines(path) == [{"step": 1}]
    path.write_bytes(b'{"step": 1}\n{"st\n{"step": 2}\n')
    with pytest.raises(FrugalsegError, match=r"lines\.jsonl, line 2, is no JSON"):
        read_json_lines(path)
    with pytest.raises(FrugalsegError, match="cannot be read"):
        read_json_lines(tmp_path / "none")


def test_tables_are_written_whole(tmp_path: Path) -> None:
    write_csv([("file", "label"), ("a,b.png", 3), ("ü", "")], tmp_path / "new" / "table.csv")
    text = (tmp_path / "new" / "table.csv").read_bytes().decode()
    assert text == 'file,label\n"a,b.png",3\nü,\n'
    with pytest.raises(FrugalsegError, match="cannot be written"):
        write_csv([], tmp_path / "new" / "table.csv" / "x.csv")


def test_tables_as_spreadsheets_write_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for text in ("\ufefffile;label\r\na,b;1\r\n", "file\tlabel\na,b\t1", 'File, label\r"a,b", 1\r'):
        path.write_text(text, "utf-8", newline="")
        assert read_table(path, ("file", "label")) == [(2, {"file": "a,b", "label": "1"})]
    path.write_text('file,label\na,"b\nc,d\n')
    with pytest.raises(FrugalsegError, match="is a quotation mark left open"):
        read_table(path, ("file",))


def test_tables_give_every_entry_back(tmp_path: Path) -> None:
    odd = ["=1+1", "-7.png", "@a", "+", "'=q", "''-x", "-7", "'-7", "'", " lead", "a,b", '"', "a;b"]
    odd += ["a\nb", "\r", "\tx", "\x00", "b\udce4r", r"\udce4", r"\u005cu0041", r"\u", "\\", "ü😀"]
    write_csv([("file", "label"), *((entry, 1) for entry in odd)], tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text("utf-8")
    assert [row["file"] for _, row in read_table(tmp_path / "t.csv", ("file",))] == odd
    assert len(text.splitlines()) == 1 + len(odd)
    assert not [line for line in text.splitlines() if line[0] in "=+@" or line[:3] == "-7."]
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:  # others read it too
        assert len(list(csv.reader(file))) == 1 + len(odd)
