from frugalseg.tasks.cluster.data import few_pairs


def test_the_batch_that_would_tell_clusters_apart_is_named() -> None:
    assert few_pairs(10, 50, 1, "clusters") is None
    assert few_pairs(50, 140, 5, "clusters") is None
    said = few_pairs(20, 30, 2, "overclusters")
    assert said is not None
    assert "overclusters=20" in said
    assert "--batch-size 50" in said
    assert few_pairs(20, 50, 2, "clusters") is None
