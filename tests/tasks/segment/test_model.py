import numpy as np
import pytest

from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.model import FrugalModel, build_model


@pytest.fixture(scope="module")
def model() -> FrugalModel:
    """Three classes by 4x6 uniform samples, not trained."""
    options = {"segmenter": "unet-plain", "segmenter_options": {"widths": [4]}}
    config = SegmentConfig(size=(4, 6), sampler="uniform", thumbnail=(16, 16), **options)
    return build_model(config, 3).eval()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((20, 30), np.uint8),
        np.zeros((20, 30, 4), np.uint8),
        np.zeros((3, 20, 30), np.uint8),
        np.full((20, 30, 3), 0.5, np.float32),
        np.zeros((20, 30, 3), np.int64),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(model: FrugalModel, wrong: np.ndarray) -> None:
    with pytest.raises(FrugalsegError, match=r"\(height, width, 3\) of uint8, not \(.*\) of "):
        model.predict(wrong)


def test_a_picture_in_pieces_of_memory_is_answered_as_one_in_one_piece(model: FrugalModel) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    turned = np.ascontiguousarray(pixels[::-1, :, ::-1])[::-1, :, ::-1]
    assert not turned.flags.c_contiguous
    answer = model.predict(turned)
    assert answer.labels.shape == (20, 30)
    assert (answer.scores == model.predict(pixels).scores).all()
