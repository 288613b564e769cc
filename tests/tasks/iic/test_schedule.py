import numpy as np
import torch

from frugalseg.tasks.iic.schedule import HeadSchedule


def test_heads_take_turns_and_each_image_comes_once_a_round() -> None:
    indices = {"main": np.arange(10), "overcluster": np.arange(15)}
    schedule = HeadSchedule(indices, ("main", "main", "overcluster"), 2, 5, seed=3)
    heads = [schedule.head(step) for step in range(12)]
    assert heads == (["main"] * 4 + ["overcluster"] * 2) * 2
    draws = [schedule.draw(step) for step in range(18)]
    for head, size in (("main", 10), ("overcluster", 15)):
        seen = torch.cat([d.indices for d in draws if d.head == head])
        for part in seen.split(size):
            if len(part) == size:
                assert sorted(part.tolist()) == list(range(size))
    again = list(schedule.between(7, 9))
    assert all(torch.equal(a.indices, b.indices) for a, b in zip(again, draws[7:9], strict=True))
    halves = [schedule.between(4, 5, rank, 2).draw(4).indices for rank in range(2)]
    assert sorted(torch.cat(halves).tolist()) == sorted(draws[4].indices.tolist())


def test_images_come_in_their_order_where_they_are_not_shuffled() -> None:
    schedule = HeadSchedule({"main": np.arange(6)}, ("main",), 1, 4, seed=0, shuffle=False)
    drawn = torch.cat([schedule.draw(step).indices for step in range(3)])
    assert drawn.tolist() == [0, 1, 2, 3, 4, 5] * 2
