from frugalseg.training.cluster_checks import few_pairs


def test_the_batch_that_would_tell_clusters_apart_is_named() -> None:
    assert few_pairs(10, 50, 1) is None
    assert few_pairs(50, 140, 5) is None
    said = few_pairs(20, 30, 2, "over_clusters")
    assert said is not None
    assert "over_clusters=20" in said
    assert "--batch 50" in said
    assert few_pairs(20, 50, 2) is None
