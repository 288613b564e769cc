from pathlib import Path
from types import SimpleNamespace
from unicodedata import normalize

import numpy as np

from frugalseg.files import write_csv
from frugalseg.tasks.finetune.evaluate import images_to_score


def test_names_are_known_again_in_either_unicode_form(tmp_path: Path) -> None:
    names = [normalize("NFD", f"bäume-{i}.png") for i in range(3)]
    rows = [("file", "used"), *zip(names, ("training", "score", "training"), strict=True)]
    write_csv(rows, tmp_path / "masks.csv")
    run = SimpleNamespace(
        dir=SimpleNamespace(path=tmp_path),
        config=SimpleNamespace(data=tmp_path),
        state={"split": "held out", "scored": 1},
    )
    data = SimpleNamespace(root=tmp_path, name="data", names=names)
    kept = images_to_score(run, data, "all", lambda split: np.arange(3), "masks")  # type: ignore[arg-type]
    assert kept.tolist() == [1]
