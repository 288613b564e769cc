from pathlib import Path

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json_lines, write_csv


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
