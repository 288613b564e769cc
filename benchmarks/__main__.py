"""`python -m benchmarks [--list] [NAME ...]`: run benchmarks, write results/benchmarks/NAME.json.

A benchmark is a file here with a function `run() -> dict`. Its result holds its "question" and
"comparisons" (from `timing.compare`), or other measurements.
"""

import argparse
import importlib
import os
from pathlib import Path

from benchmarks.timing import table
from frugalseg.engine.results import environment
from frugalseg.files import write_json

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "benchmarks"
NOT_BENCHMARKS = {"__init__", "__main__", "timing", "tensor_density"}


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in NOT_BENCHMARKS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the benchmarks; by default all")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and stop")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(names()))
        return
    unknown = sorted(set(arguments.names) - set(names()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    for name in arguments.names or names():
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
        load = os.getloadavg()[0]  # running processes: if more than the cores, times are long
        answer = module.run()
        if answer is None:  # it needs something that is missing, and has printed what
            continue
        result = {"benchmark": name, "environment": environment(), "load": load, **answer}
        path = RESULTS / f"{name}.json"
        write_json(result, path)
        if hasattr(module, "draw"):
            module.draw(result, path.with_suffix(".svg"))
        if "comparisons" in result:
            print(table(result))
        print(f"written to {path.relative_to(HERE.parent)}\n", flush=True)


if __name__ == "__main__":
    main()
