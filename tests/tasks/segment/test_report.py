import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from frugalseg.engine.results import group_seeds
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.segment import page_examples
from frugalseg.tasks.segment.report import label_results, name_rows, write_comparison
from pages import Page, open_page, page_width
from reference.results import made_up_result


def made_up_results():
    uniform = [made_up_result("uniform", 64, seed, 0.80 + 0.01 * seed) for seed in range(3)]
    return [
        *uniform,
        made_up_result("uniform", 128, 0, 0.9),
        made_up_result("density", 64, 0, 0.87),
    ]


def made_up_example(name="leaf <1> & more"):
    rng = np.random.default_rng(0)
    truth = np.zeros((60, 120), np.uint8)
    truth[10:50, 20:100] = 1
    truth[30:40, 50:60] = 2
    rows, columns = np.meshgrid(np.linspace(0, 1, 8), np.linspace(0, 1, 8), indexing="ij")
    image = rng.integers(0, 256, (60, 120, 3), dtype=np.uint8)
    run = {
        "phi": np.stack([rows, columns], axis=-1),
        "warped": rng.integers(0, 256, (8, 8, 3), dtype=np.uint8),
        "answer": np.roll(truth, 2, axis=1),
    }
    labels = ("uniform 64x64", "density 64x64")
    return {
        "name": name,
        "image": image,
        "truth": truth,
        "colours": np.array([[0, 0, 0], [0, 176, 0], [255, 0, 0]], np.uint8),
        "runs": [{**run, "label": label} for label in labels],
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "compare.html"
    write_comparison(made_up_results(), [made_up_example()], path)
    return path


def test_tables_hold_the_numbers(written):
    tables = Page(written.read_text()).tables
    header, *rows = tables["cost"]
    assert header[0] == "run"
    assert [row[0] for row in rows] == ["uniform 64x64 3 seeds", "uniform 128x128", "density 64x64"]
    assert rows[0][1] == "0.810 0.800 to 0.820"
    assert rows[2][header.index("total, M")] == "204"
    assert rows[0][header.index("sampler, M")] == "0"
    iou = {row[0]: row[1:] for row in tables["iou"]}
    assert iou["class"] == ["uniform 64x64", "uniform 128x128", "density 64x64"]
    assert iou["leaf"] == ["0.810 0.800 to 0.820", "0.900 +9.0", "0.870 +6.0"]
    assert iou["symptom target"][1:] == ["0.800 +9.0", "0.770 +6.0"]
    assert iou["mean of all"][2] == "0.870 +6.0"
    assert [row[0] for row in tables["bands"][1:]] == ["1 px", "2 px", "4 px", "8 px", "16 px"]
    assert tables["objects"][1][:2] == ["16 to 63", "10"]  # nothing was under 16 pixels
    assert tables["stages"][0][-1] == "total"


def test_everything_is_in_the_page_and_every_text_is_escaped(written):
    text = written.read_text()
    page = Page(text)
    assert len(page.sources) == 2 + 2 * 3
    assert all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "@import" not in text
    assert "<script" not in text
    assert "leaf <1>" not in text
    assert "leaf <1> & more" in page.texts
    assert text.count("<svg") == 4


def test_charts_are_sound_and_share_no_name(written):
    charts = re.findall(r"<svg.*?</svg>", written.read_text(), flags=re.DOTALL)
    names = []
    for chart in charts:
        tree = ET.fromstring(chart)
        own = [each.attrib["id"] for each in tree.iter() if "id" in each.attrib]
        used = re.findall(r'(?:href="|url\()#([\w-]+)', chart)
        assert set(used) <= set(own)
        names += own
        assert "128x128" in chart
        assert "var(--series-1)" in chart
    assert len(set(names)) == len(names)


def test_runs_are_told_apart_by_what_differs():
    other = made_up_result("density", 64)
    other.what["segmenter"] = "pspnet"
    runs = name_rows(group_seeds([made_up_result("uniform"), made_up_result("density"), other]))
    labels = ["uniform 64x64, unet", "density 64x64, unet", "density 64x64, pspnet"]
    assert [run.label for run in runs] == labels
    assert len({run.colour for run in runs}) == 3
    twice = name_rows(group_seeds([made_up_result(run="first"), made_up_result(run="second")]))
    assert [run.label for run in twice] == ["density 64x64, first", "density 64x64, second"]


def test_what_cannot_be_compared_is_said(tmp_path):
    other = made_up_result("uniform")
    other.what["split"] = "test"
    other.environment["threads"] = 64
    other.scores["absent"] = ["train"]
    other.scores["iou"]["symptom"] = None
    other.scores["miou"]["target"] = None
    write_comparison([made_up_result(), other], [], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "scores cannot be compared" in text
    assert "compare no seconds" in text
    assert "in no mean: train." in text
    assert "none" in Page(text).tables["iou"][3]


def test_a_single_result_without_pictures_makes_a_page(tmp_path):
    write_comparison([made_up_result()], [], tmp_path / "page.html")
    assert len(Page((tmp_path / "page.html").read_text()).tables["cost"]) == 2


def test_pictures_shrink_to_the_budget(tmp_path, monkeypatch, written):
    monkeypatch.setattr(page_examples, "PICTURE_BUDGET", 200_000)
    write_comparison(made_up_results(), [made_up_example()], tmp_path / "page.html")
    small = sum(map(len, Page((tmp_path / "page.html").read_text()).sources))
    assert small <= 200_000 < sum(map(len, Page(written.read_text()).sources))


def test_nothing_to_compare_is_refused(tmp_path):
    with pytest.raises(FrugalsegError, match="nothing to compare"):
        write_comparison([], [], tmp_path / "page.html")


def test_the_page_in_a_browser(browser, written):
    widths = open_page(browser, written)
    assert len(widths) == 8
    assert all(width > 0 for width in widths)
    rows = browser.execute_script("return document.querySelectorAll('#cost tbody tr').length")
    assert rows == 3
    drawn = browser.execute_script(
        "return Array.from(document.querySelectorAll('svg'), svg => svg.getBoundingClientRect())"
        ".every(box => box.width > 200 && box.height > 120)"
    )
    assert drawn


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_scrolls_sideways_on_no_screen(browser, written, width):
    assert page_width(browser, written, width) <= width


def test_pictures_are_named_as_the_tables_name_their_rows():
    one, other = made_up_result("density", seed=0), made_up_result("density", seed=1)
    other.what["variant"] = "loss=cross-entropy"
    again = made_up_result("density", seed=1)
    assert label_results([one, other, again, made_up_result("uniform")]) == [
        "density 64x64, seed 0",
        "density 64x64, loss=cross-entropy",
        "density 64x64, seed 1",
        "uniform 64x64",
    ]
    longer = made_up_result("density")
    longer.what["steps"] *= 2
    assert len(set(label_results([one, longer]))) == 2
    twice = [made_up_result("density", run="run"), made_up_result("density", run="run")]
    assert label_results(twice) == ["density 64x64, run (1)", "density 64x64, run (2)"]
    assert len({run.colour for run in name_rows(group_seeds(twice))}) == 2
