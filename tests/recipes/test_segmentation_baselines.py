"""The baselines of unsupervised segmentation on images whose answer is known."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frugalseg.data.folder import SegmentationFolder, open_folder
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.regions import read_region_result
from frugalseg.recipes.__main__ import app
from frugalseg.recipes.segmentation_baselines import METHODS, run_segmentation_baselines

COLOURS = np.array([[200, 40, 30], [30, 190, 60], [40, 60, 210]])


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> SegmentationFolder:
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
    return open_folder(root)


@pytest.mark.parametrize("name", METHODS)
def test_colours_that_differ_are_told_apart(
    name: str, flags: SegmentationFolder, tmp_path: Path
) -> None:
    if name in ("felzenszwalb-k-means", "slic-k-means"):
        pytest.importorskip("skimage")
    run_segmentation_baselines(flags, tmp_path, height=48, seeds=[0], methods=[name])
    results = [read_region_result(path) for path in sorted(tmp_path.glob("*.json"))]
    assert len(results) == len(METHODS[name].weights)
    for result in results:
        scores = result["scores"]
        assert scores["labelled"] == 4 * 48 * 37
        if name.startswith("k-means-"):
            assert scores["used"] == 3
    if "random" not in name and "pretrained" not in name:
        assert results[0]["scores"]["accuracy"] > 0.97  # colour alone, w0
        assert results[0]["scores"]["miou"] > 0.94


def test_one_cluster_and_what_is_there_is_kept(flags: SegmentationFolder, tmp_path: Path) -> None:
    said: list[str] = []
    methods = ["one-cluster", "k-means-colour"]
    for _ in range(2):
        table = run_segmentation_baselines(
            flags, tmp_path, height=24, seeds=[0, 1], methods=methods, say=said.append
        )
    assert said == [
        "== one-cluster-0",
        *(f"== k-means-colour-w{w}-24-{seed}" for seed in (0, 1) for w in ("0", "0.5", "1")),
    ]
    rows = table.splitlines()
    assert (tmp_path / "table.md").read_text() == table
    assert len(rows) == 2 + 4
    assert "| one-cluster | " in table
    result = read_region_result(tmp_path / "one-cluster-0.json")
    assert result["scores"]["accuracy"] == pytest.approx(1 / 3)


def test_the_same_seed_gives_the_same(flags: SegmentationFolder, tmp_path: Path) -> None:
    for out in ("a", "b"):
        run_segmentation_baselines(
            flags, tmp_path / out, height=24, seeds=[3], methods=["k-means-random"]
        )
    one, other = (
        json.loads((tmp_path / out / "k-means-random-24-3.json").read_text()) for out in "ab"
    )
    assert one["scores"] == other["scores"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"methods": ["k-means"]}, "No method 'k-means': there are k-means-colour"),
        ({"score": "test"}, "has no images in 'test'; it has train, val"),
        ({"fit": "holiday"}, "has no images in 'holiday'"),
        ({"height": 4}, "height=4 is out of range"),
    ],
)
def test_what_is_refused(
    options: dict[str, object], says: str, flags: SegmentationFolder, tmp_path: Path
) -> None:
    with pytest.raises(FrugalsegError, match=says):
        run_segmentation_baselines(flags, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_without_scikit_image(
    flags: SegmentationFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(FrugalsegError, match="scikit-image is not installed"):
        run_segmentation_baselines(flags, tmp_path, methods=["slic-k-means"])


def test_the_recipe_by_its_command(
    flags: SegmentationFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "two.csv").write_text(
        "fine_id,fine_name,coarse_id,coarse_name\n0,,0,warm\n1,,1,cold\n2,,1,cold\n"
    )
    words = ["segmentation-baselines", str(flags.root), "--out", str(tmp_path / "out")]
    words += ["--mapping", str(tmp_path / "two.csv"), "--methods", "one-cluster"]
    app(words, result_action="return_value")
    assert "| one-cluster | " in capsys.readouterr().out
    result = read_region_result(tmp_path / "out" / "one-cluster-0.json")
    assert result["scores"]["accuracy"] == pytest.approx(2 / 3)
    assert list(result["scores"]["iou"]) == ["warm", "cold"]
