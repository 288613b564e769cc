"""Time functions in alternation, so that a busy or throttled machine affects all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Function = Callable[[], Any]


def compare(
    setting: str,
    ours: Function,
    others: Mapping[str, Function],
    rounds: int = 15,
    warm_up: int = 2,
    target: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Run ours and the others in alternation: A B C, B C A, C A B, ...

    Args:
        setting: the task that all of them do.
        ours: this package's function, without arguments.
        others: the functions to compare with, by name.
        rounds: timed calls of each.
        warm_up: calls of each before timing (compilation, caches, threads).
        target: the ratio aimed at, by name of the other function.

    Returns:
        Plain data for JSON: "setting"; "seconds" by name ("ours" and the others) with median,
        quartiles, minimum ("least") and count; "ratio" by name of the other function, its time over
        ours: the ratio of the medians, the quartiles of the ratios within each round, and the
        target if there is one.
    """
    functions = {"ours": ours, **others}
    names = list(functions)
    for name in names:
        for _ in range(warm_up):
            functions[name]()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for k in range(rounds):
        turn = k % len(names)
        for name in names[turn:] + names[:turn]:
            begin = time.perf_counter()
            functions[name]()
            taken[name].append(time.perf_counter() - begin)
    seconds = {name: _summary(values) for name, values in taken.items()}
    ratio = {}
    for name in others:
        within = [b / a for a, b in zip(taken["ours"], taken[name], strict=True)]
        ratio[name] = {
            "of_medians": seconds[name]["median"] / seconds["ours"]["median"],
            "quartiles": _quartiles(within),
        }
        if target and name in target:
            ratio[name]["target"] = target[name]
    return {"setting": setting, "seconds": seconds, "ratio": ratio}


def _summary(values: list[float]) -> dict[str, Any]:
    return {
        "median": statistics.median(values),
        "quartiles": _quartiles(values),
        "least": min(values),
        "count": len(values),
    }


def _quartiles(values: list[float]) -> list[float]:
    if len(values) < 2:
        return [values[0], values[0]]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, high]


def table(result: Mapping[str, Any]) -> str:
    """The comparisons of a result as aligned text, milliseconds and ratios."""
    lines = [("setting", "ours ms", "other", "other ms", "ratio", "quartiles", "aimed at")]
    for row in result["comparisons"]:
        for name, ratio in row["ratio"].items():
            low, high = ratio["quartiles"]
            lines.append(
                (
                    row["setting"],
                    f"{1e3 * row['seconds']['ours']['median']:.2f}",
                    name,
                    f"{1e3 * row['seconds'][name]['median']:.2f}",
                    f"{ratio['of_medians']:.1f}",
                    f"{low:.1f} to {high:.1f}",
                    f"{ratio['target']:g}" if "target" in ratio else "",
                )
            )
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    left = {0, 2}
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
