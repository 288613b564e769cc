import numpy as np
import pytest
from PIL import Image

from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment.draw import write_sampling_figure


@pytest.fixture
def arguments():
    rows, columns = np.meshgrid(np.linspace(0, 1, 6), np.linspace(0, 1, 8), indexing="ij")
    phi = np.stack([rows, columns], axis=-1)
    image = np.full((60, 120, 3), 120, np.uint8)
    mask = np.zeros((60, 120, 3), np.uint8)
    return (
        {"image and mask": mask},
        image,
        {"smoothness 0 & <more>": phi, "uniform": phi, "again": phi},
    )


def test_png_has_a_panel_for_the_image_and_for_each_sampling(tmp_path, arguments):
    write_sampling_figure(*arguments, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as figure:
        pixels = np.asarray(figure.convert("RGB")).astype(int)
    yellow = (pixels[..., 0] > 200) & (pixels[..., 1] > 170) & (pixels[..., 2] < 90)
    height, width = yellow.shape
    # Three panels a row: the image without points, two samplings; then the third sampling.
    third = width // 3
    panels = [yellow[: height // 2, i * third : (i + 1) * third].any() for i in range(3)]
    assert panels == [False, True, True]
    below = [yellow[height // 2 :, i * third : (i + 1) * third].any() for i in range(3)]
    assert below == [True, False, False]


def test_svg_and_html_name_the_samplings_and_escape_them(tmp_path, arguments):
    for suffix in ("svg", "html"):
        path = tmp_path / f"figure.{suffix}"
        write_sampling_figure(*arguments, path)
        text = path.read_text()
        assert text.count("<img" if suffix == "html" else "<image") == 4
        assert "<more>" not in text
    assert "smoothness 0 &amp; &lt;more&gt;" in text


def test_another_suffix_is_refused(tmp_path, arguments):
    with pytest.raises(FrugalsegError, match=r"figure\.gif.*\.gif.*\.html, \.png, \.svg"):
        write_sampling_figure(*arguments, tmp_path / "figure.gif")
    assert not list(tmp_path.iterdir())
