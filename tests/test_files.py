from pathlib import Path

import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.files import read_json_lines


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
