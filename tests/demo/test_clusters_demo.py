from pathlib import Path

import pytest

from frugalseg.demo.clusters_demo import demo_config, run_cluster_demo
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.cluster.config import ClusterConfig

TINY = {"data": "digits", "width": 2, "steps": 3, "batch_size": 60, "num_views": 1, "sub_heads": 2}


def test_the_demonstration_writes_its_page_and_is_not_done_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from frugalseg.tasks.cluster import evaluate as clusters

    monkeypatch.setattr(clusters, "MAPPED", 100)
    tiny = ClusterConfig(**TINY)
    result = run_cluster_demo(tmp_path / "digits", config=tiny)
    assert result.what["images"] == 1797
    out = capsys.readouterr().out
    assert "| digits | vgg-iic 2 | 10 |" in out
    assert "Without a label" in out
    assert "1,797 images in 10 clusters" in (tmp_path / "digits" / "report.html").read_text()
    with pytest.raises(FrugalsegError, match=r"--out\. .*steps: 3 there, 4 asked"):
        run_cluster_demo(
            tmp_path / "digits",
            config=ClusterConfig(**TINY | {"steps": 4}),
        )


def test_the_demonstration_needs_no_data() -> None:
    config = demo_config(3)
    assert (config.data, config.clusters, config.seed) == ("digits", 10, 3)
