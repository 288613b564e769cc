from frugalseg.reports.charts import compared_charts, learning_charts

HISTORY = [
    {"training": name, "step": step, "main": -0.01 * step, "entropy": 0.5, "accuracy": [0.5, 0.6]}
    for name in ("first", "second")
    for step in (100, 200)
]


def test_there_is_a_curve_for_each_training_and_sub_head() -> None:
    loss, diagnostics, accuracy = learning_charts(HISTORY)
    assert [name for name, _ in loss["legend"]] == ["main head, first", "main head, second"]
    assert [name for name, _ in diagnostics["legend"]] == ["entropy, first", "entropy, second"]
    assert len(accuracy["legend"]) == 4
    assert loss["svg"].startswith("<svg")
    assert "var(--series-2)" in loss["svg"]
    assert learning_charts([]) == []


def test_runs_are_compared_by_name() -> None:
    loss, entropy = compared_charts({"one": HISTORY[:2], "other": HISTORY[2:]})
    assert loss["title"] == "Loss of the main head"
    assert entropy["legend"] == [("one", 1), ("other", 2)]
