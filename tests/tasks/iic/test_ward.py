import itertools

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from frugalseg.tasks.iic.ward import ward_groupings


def same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two groupings are one but for the numbers of the groups."""
    return bool(((first[:, None] == first) == (second[:, None] == second)).all())


@pytest.mark.parametrize("seed", range(6))
def test_masses_are_repeated_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres, masses = rng.normal(size=(12, 3)), rng.integers(1, 9, 12)
    # scipy joins points at one place first: what follows is the merging of centres with masses
    tree = linkage(np.repeat(centres, masses, 0), "ward")
    firsts = np.cumsum(masses) - masses
    groupings = ward_groupings(centres, masses)
    assert [int(groups.max()) + 1 for groups in groupings] == list(range(12, 1, -1))
    for groups in groupings:
        count = int(groups.max()) + 1
        assert same(groups, fcluster(tree, count, "maxclust")[firsts])


def test_each_join_adds_least_to_the_sum_of_squares() -> None:
    rng = np.random.default_rng(9)
    centres, masses = rng.normal(size=(7, 2)), rng.uniform(0.1, 5, 7)

    def within(groups: np.ndarray) -> float:
        total = 0.0
        for k in np.unique(groups):
            own, mass = centres[groups == k], masses[groups == k, None]
            mean = (mass * own).sum(0) / mass.sum()
            total += float((mass * (own - mean) ** 2).sum())
        return total

    for before, after in itertools.pairwise(ward_groupings(centres, masses)):
        count = int(before.max()) + 1
        joins = [
            np.where(before == b, a, before) for a in range(count) for b in range(a + 1, count)
        ]
        assert within(after) == pytest.approx(min(map(within, joins)))


def test_a_centre_without_points_changes_nothing() -> None:
    centres = np.array([[0.0], [1.0], [10.0], [5.0]])
    groups = ward_groupings(centres, np.array([3, 3, 3, 0]))
    assert same(groups[-1][:3], np.array([0, 0, 1]))
    assert centres.tolist() == [[0.0], [1.0], [10.0], [5.0]]
