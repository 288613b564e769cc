"""The baselines of unsupervised segmentation on images whose answer is known."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from experiments.__main__ import main
from experiments.segmentation_baselines import METHODS, segmentation_baselines
from frugalseg.errors import FrugalsegError
from tiny import answer

COLOURS = np.array([[200, 40, 30], [30, 190, 60], [40, 60, 210]])


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of three coloured stripes whose order differs, with a little noise."""
    root = tmp_path_factory.mktemp("flags")
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 4)):
        for part in ("images", "masks"):
            (root / part / split).mkdir(parents=True)
        for i in range(count):
            mask = rng.permutation(3).repeat(16)[:, None].repeat(40, 1).astype(np.uint8)
            image = COLOURS[mask] + rng.normal(0, 8, (48, 40, 3))
            pixels = np.clip(image, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "images" / split / f"{i}.png")
            mask[:, :3] = 255
            Image.fromarray(mask).save(root / "masks" / split / f"{i}.png")
    return root


def read(path: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(path.read_text())
    return result


@pytest.mark.parametrize("name", [name for name in METHODS if name != "one-cluster"])
def test_colours_that_differ_are_told_apart(name: str, flags: Path, tmp_path: Path) -> None:
    if name in ("felzenszwalb-k-means", "slic-k-means"):
        pytest.importorskip("skimage")
    segmentation_baselines(flags, out=tmp_path, height=48, seeds=(0,), methods=(name,))
    results = [read(path) for path in sorted(tmp_path.glob("*.json"))]
    assert len(results) == len(METHODS[name].weights)
    for result in results:
        scores = result["scores"]
        assert scores["labelled"] == 4 * 48 * 37
        if name.startswith("k-means-"):
            assert scores["used"] == 3
    if "random" not in name and "pretrained" not in name:
        assert results[0]["scores"]["accuracy"] > 0.97  # colour alone, w0
        assert results[0]["scores"]["miou"] > 0.94


def test_one_cluster_and_what_is_there_is_kept(flags: Path, tmp_path: Path) -> None:
    methods = ("one-cluster", "k-means-colour")
    table = segmentation_baselines(flags, out=tmp_path, height=24, seeds=(0, 1), methods=methods)
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    names = [f"k-means-colour-w{w}-24-{seed}" for seed in (0, 1) for w in ("0", "0.5", "1")]
    assert times.keys() == {f"{name}.json" for name in ("one-cluster-24-0", *names)}
    again = segmentation_baselines(flags, out=tmp_path, height=24, seeds=(0, 1), methods=methods)
    assert again == table
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")} == times
    with pytest.raises(FrugalsegError, match="split: train there, val asked"):
        segmentation_baselines(flags, out=tmp_path, height=24, fit="val", methods=methods)
    rows = table.splitlines()
    assert (tmp_path / "table.md").read_text() == table
    assert len([row for row in rows if row.startswith("|")]) == 2 + 4
    assert "| one-cluster-24 | " in table
    result = read(tmp_path / "one-cluster-24-0.json")
    assert result["scores"]["accuracy"] == pytest.approx(1 / 3)


def test_the_same_seed_gives_the_same(flags: Path, tmp_path: Path) -> None:
    for out in ("a", "b"):
        segmentation_baselines(
            flags, out=tmp_path / out, height=24, seeds=(3,), methods=("k-means-random",)
        )
    one, other = (
        json.loads((tmp_path / out / "k-means-random-24-3.json").read_text()) for out in "ab"
    )
    assert one["scores"] == other["scores"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"methods": ("k-means",)}, "No method 'k-means': there are k-means-colour"),
        ({"score": "test"}, "has no images in 'test'; it has train, val"),
        ({"fit": "holiday"}, "has no images in 'holiday'"),
        ({"height": 4}, "height=4 is out of range"),
    ],
)
def test_what_is_refused(
    options: dict[str, object], says: str, flags: Path, tmp_path: Path
) -> None:
    with pytest.raises(FrugalsegError, match=says):
        segmentation_baselines(flags, out=tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_without_scikit_image(flags: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(FrugalsegError, match="scikit-image is not installed"):
        segmentation_baselines(flags, out=tmp_path, methods=("slic-k-means",))


def test_the_experiment_by_its_command(
    flags: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "two.csv").write_text(
        "fine_id,fine_name,coarse_id,coarse_name\n0,,0,warm\n1,,1,cold\n2,,1,cold\n"
    )
    words = ["segmentation-baselines", str(flags), "--out", str(tmp_path / "out")]
    words += ["--mapping", str(tmp_path / "two.csv"), "--methods", "one-cluster"]
    assert "| one-cluster-128 | " in answer(main, *words).out
    result = read(tmp_path / "out" / "one-cluster-128-0.json")
    assert result["scores"]["accuracy"] == pytest.approx(2 / 3)
    assert list(result["scores"]["iou"]) == ["warm", "cold"]
