import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from frugalseg.iic import UNUSED, many_to_one, one_to_one
from reference.information import slow_matching


@pytest.mark.parametrize(("clusters", "classes"), [(4, 4), (6, 3), (3, 5)])
def test_one_to_one_is_the_best_of_all_ways(clusters, classes):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        counts = rng.integers(0, 9, (clusters, classes))
        mapping = one_to_one(counts)
        taken = mapping[mapping != UNUSED]
        assert len(set(taken)) == len(taken)
        right = sum(counts[cluster, kind] for cluster, kind in enumerate(mapping) if kind >= 0)
        assert right == slow_matching(counts)


def test_many_to_one_takes_the_most_frequent_class():
    clusters, classes = [0, 0, 0, 1, 2], [2, 2, 1, 0, 0]
    counts = confusion_matrix(classes, clusters, labels=range(4)).T[:, :3]
    assert many_to_one(counts).tolist() == [2, 0, 0, UNUSED]
