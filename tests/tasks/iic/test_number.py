import itertools

import numpy as np
import pytest
import torch

from frugalseg.tasks.iic.number import choose_count, merge_answers, merge_order, turning_point
from reference.information import slow_information


def random_joint(size, seed=0):
    table = np.random.default_rng(seed).random((size, size)) ** 3
    table = table + table.T
    return table / table.sum()


@pytest.mark.parametrize("seed", range(5))
def test_each_merge_loses_least_information(seed):
    joint = random_joint(6, seed)
    groups = merge_order(torch.from_numpy(joint))
    assert [g.max() + 1 for g in groups] == [6, 5, 4, 3, 2]
    for before, after in itertools.pairwise(groups):
        k = before.max() + 1
        losses = {}
        for a in range(k):
            for b in range(a + 1, k):
                merged = np.where(before == b, a, before)
                merged = np.unique(merged, return_inverse=True)[1]
                select = np.eye(k - 1)[merged]
                losses[a, b] = -slow_information(select.T @ joint @ select)
        a, b = min(losses, key=losses.get)
        together = after[before == a][0] == after[before == b][0]
        assert together, (losses, before, after)


def test_merged_answers_are_sums():
    answers = np.random.default_rng(0).dirichlet(np.ones(5), 7)
    groups = np.array([0, 2, 1, 0, 2])
    merged = merge_answers(answers, groups)
    for g in range(3):
        np.testing.assert_allclose(merged[:, g], answers[:, groups == g].sum(1))


@pytest.mark.parametrize("true", [3, 5, 8])
def test_a_planted_number_is_found(true):
    # each of four sub-heads cuts the true groups into three, each in its own way
    rng = np.random.default_rng(true)
    group = rng.integers(true, size=900)

    def answers(views):
        found = []
        for s in range(4):
            cut = np.random.default_rng((s, true)).integers(3, size=(900, 3))
            # two views agree on the group, and on the third of it in half of the cases
            third = np.where(rng.random(900) < 0.5, cut[:, 0], rng.integers(3, size=900))
            hot = np.eye(3 * true)[3 * group + third]
            found.append(0.95 * hot + 0.05 / (3 * true))
        return torch.from_numpy(np.stack(found))

    counts = choose_count(answers(0), answers(1))
    assert counts["chosen"] == true
    assert counts["by_sub_head"] == [true] * 4
    assert dict(counts["agreement"])[true] > 0.9
    # all splits up to there together add the information that there is
    assert counts["before"] == pytest.approx(dict(counts["information"])[true])
    assert counts["after"] < 0.5 < counts["before"]
    assert f"{true} clusters" in counts["says"]
    shared = dict(counts["information"])
    assert shared[true] > shared[2 * true]


def test_the_turn_is_where_two_lines_fit_best():
    rng = np.random.default_rng(0)
    added = rng.uniform(0.1, 0.5, 12)
    shared = added * np.where(np.arange(12) < 5, 0.9, 0.6)
    clusters, before, after = turning_point(shared, added)
    assert clusters == 6  # five splits make six clusters
    assert (before, after) == (pytest.approx(0.9), pytest.approx(0.6))


def test_splits_that_add_nothing_do_not_count():
    added = np.array([0.7, 0.4, 0.0, 0.3, 0.0])  # empty overclusters
    clusters, before, after = turning_point(0.8 * added, added)
    assert 2 <= clusters <= 5
    assert before == pytest.approx(0.8)
    assert after == pytest.approx(0.8)


def test_one_split_is_two_clusters():
    assert turning_point(np.array([0.5]), np.array([0.6])) == (
        2,
        pytest.approx(5 / 6),
        pytest.approx(5 / 6),
    )


def test_other_groupings_may_be_judged() -> None:
    # views agree on the group of two overclusters and not on the one of the two
    rng = np.random.default_rng(0)
    group = rng.integers(4, size=2000)
    views = [np.eye(8)[2 * group + rng.integers(2, size=2000)][None] for _ in range(2)]
    right = [np.arange(8)]
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 4), (0, 1), (0, 1)):
        merged = np.where(right[-1] == b, a, right[-1])
        right.append(merged - (merged > b))
    p, q = (torch.from_numpy(view) for view in views)
    counts = choose_count(p, q, "regions", right)
    assert counts["chosen"] == 4
    assert counts["before"] > 0.9 > 0.1 > counts["after"]
    assert "Sub-heads" not in counts["says"]
    wrong = [np.roll(grouping, 1) for grouping in right]
    assert choose_count(p, q, "regions", wrong)["before"] < counts["before"]
