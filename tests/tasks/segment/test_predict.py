"""The files that predict writes, for images of one strip and of many."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import frugalseg
from frugalseg.data.masks import read_mask
from frugalseg.demo.scenes import write_scenes
from frugalseg.errors import FrugalsegError
from frugalseg.reports.images import overlay
from frugalseg.sampling import interpolate
from frugalseg.tasks.segment import predict as module
from frugalseg.tasks.segment.model import Run

SETTINGS: dict[str, Any] = {
    "size": (16, 32),
    "steps": 4,
    "sampler_steps": 4,
    "batch_size": 2,
    "segmenter": "unet-plain",
    "segmenter_options": {"widths": (4, 8)},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("predict")
    write_scenes(folder / "scenes", 3, 1, 1, (64, 128))
    trained: Run = frugalseg.train("segment", folder / "scenes", folder / "run", **SETTINGS)
    return trained


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image of 500x301 pixels, in some places of one colour."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 7, 3), np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).resize((301, 500), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(params=[1 << 23, 5000])  # one strip, or many
def strip(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STRIP", request.param)


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.usefixtures("strip")
def test_labels_in_strips_are_those_of_the_whole(run: Run, photo: Path) -> None:
    frugalseg.predict(run.dir.path, [photo], photo.parent / "out")
    expected = run.predict(photo).labels
    assert len(np.unique(expected)) > 1
    labels = read_mask(photo.parent / "out" / "photo.png", run.classes)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(("side", "size"), [(None, (500, 301)), (0, (500, 301)), (40, (40, 24))])
def test_the_overlay_is_no_larger_than_its_side(
    run: Run, photo: Path, side: int | None, size: tuple[int, int]
) -> None:
    frugalseg.predict(run.dir.path, [photo], photo.parent / "out", overlay_side=side)
    shown = picture(photo.parent / "out" / "photo.overlay.jpg")
    assert shown.shape == (*size, 3)
    with Image.open(photo) as image:
        pixels = np.asarray(image.resize(size[::-1], Image.Resampling.BOX))
    scored = run.model.score_image(photo)
    expected = overlay(pixels, scored.labels(size), run.classes.colours)
    assert np.abs(shown.astype(int) - expected).mean() < 12  # JPEG


@pytest.mark.parametrize("wanted", [None, (30, 20), (700, 11)])
@pytest.mark.usefixtures("strip")
def test_probabilities_are_the_softmax_of_the_interpolated_scores(
    run: Run, photo: Path, wanted: tuple[int, int] | None
) -> None:
    answer = run.predict(photo)
    size = wanted or (500, 301)
    scores = interpolate(answer.scores[None], answer.phi[None], size)[0]
    expected = scores.double().softmax(0).numpy()
    out = photo.parent / "out"
    options: dict[str, Any] = {"probabilities_size": wanted}
    frugalseg.predict(run.dir.path, [photo], out, probabilities="npz", **options)
    with np.load(out / "photo.probabilities.npz") as written:
        assert written["classes"].tolist() == list(run.classes.names)
        probabilities = written["probabilities"]
    assert probabilities.dtype == np.float16
    np.testing.assert_allclose(probabilities, expected.transpose(1, 2, 0), rtol=1e-3, atol=1e-6)
    frugalseg.predict(run.dir.path, [photo], out, probabilities="png", **options)
    with Image.open(out / "photo.confidence.png") as image:
        assert image.mode == "I;16"
        confidence = np.asarray(image) / 65535
    np.testing.assert_allclose(confidence, expected.max(0), rtol=0, atol=1e-5)


def test_options_that_do_not_fit_are_refused(run: Run, photo: Path) -> None:
    folder, out = run.dir.path, photo.parent / "out"
    with pytest.raises(FrugalsegError, match="--probabilities npz or png"):
        frugalseg.predict(folder, [photo], out, probabilities_size=(3, 4))
    with pytest.raises(FrugalsegError, match="overlay-side=-1 is out of range"):
        frugalseg.predict(folder, [photo], out, overlay_side=-1)
    photo.with_name("photo.confidence.png").write_bytes(photo.read_bytes())
    both = [photo, photo.with_name("photo.confidence.png")]
    with pytest.raises(FrugalsegError, match=r"photo\.confidence\.png would be written for two"):
        frugalseg.predict(folder, both, out, probabilities="png")
    assert not out.exists()
