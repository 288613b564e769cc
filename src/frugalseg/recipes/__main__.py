"""``python -m frugalseg.recipes RECIPE``: the experiments behind the files under results/.

Each goes on where it was interrupted when the same command is given again.
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from frugalseg.cluster_runs import ClusterConfig
from frugalseg.errors import ending_in_a_sentence
from frugalseg.options import Names, Options, option_value
from frugalseg.runs import SegmentConfig

app = App(
    name="python -m frugalseg.recipes",
    help=__doc__,
    help_format="plaintext",
    exit_on_error=False,
    print_error=False,
)
Seeds = Annotated[tuple[int, ...], Parameter(negative="", consume_multiple=True)]
Shares = Annotated[tuple[float, ...], Parameter(negative="", consume_multiple=True)]
DEFAULTS = ClusterConfig()
SEGMENT = SegmentConfig()
NONE: dict[str, Any] = {}


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


@app.command
def mnist(
    data: Path,
    /,
    *,
    out: Path = Path("results/mnist"),
    runs: Path = Path("runs/mnist"),
    seeds: Seeds = (0, 1, 2),
    paper: bool = False,
    steps: int | None = None,
    width: int | None = None,
) -> None:
    """MNIST: the narrow trunk for two cores, or with --paper the paper's recipe for a GPU."""
    from frugalseg.recipes.mnist import run_mnist

    print(run_mnist(data, out, runs, seeds, paper, steps, width, _say), end="")


@app.command
def mnist_baselines(
    data: Path,
    /,
    *,
    out: Path = Path("results/mnist"),
    seeds: Seeds = (0, 1, 2),
    methods: Names = (),
) -> None:
    """MNIST: k-means on pixels, PCA and the untrained trunk, UMAP + Gaussian mixture."""
    from frugalseg.recipes.baselines import run_baselines
    from frugalseg.recipes.mnist import mnist_config

    print(run_baselines(mnist_config(str(data)), out, seeds, methods or None, _say), end="")


@app.command
def cifar10_paper(
    data: Path,
    /,
    *,
    out: Path = Path("results/cifar10"),
    runs: Path = Path("runs/cifar10"),
    seed: int = 0,
    width: int = 64,
    steps: int = 82_000,
) -> None:
    """CIFAR-10: the paper's recipe, from nothing."""
    from frugalseg.recipes.cifar10 import run_cifar10_paper

    print(run_cifar10_paper(data, out, runs, seed, width, steps, _say), end="")


@app.command
def cifar10_features(
    data: Path,
    /,
    *,
    out: Path = Path("results/cifar10_features"),
    runs: Path = Path("runs/cifar10_features"),
    seeds: Seeds = (0, 1, 2),
    split: str = "test",
) -> None:
    """CIFAR-10: heads on a pretrained trunk against k-means on the same features."""
    from frugalseg.recipes.cifar10 import run_cifar10_features

    print(run_cifar10_features(data, out, runs, seeds, split, _say), end="")


@app.command
def segmentation_baselines(
    data: Path,
    /,
    *,
    out: Path,
    mapping: str | None = None,
    ignore: Names = (),
    fit: str = "train",
    score: str = "val",
    height: int = 128,
    seeds: Seeds = (0, 1, 2),
    methods: Names = (),
) -> None:
    """Groups of pixels: k-means on colours, segments and features, scored by masks."""
    from frugalseg.data.folder import open_folder
    from frugalseg.recipes.segmentation_baselines import run_segmentation_baselines

    folder = open_folder(data, mapping=mapping, ignore=ignore)
    table = run_segmentation_baselines(folder, out, fit, score, height, seeds, methods, _say)
    print(table, end="")


@app.command
def discovery(
    data: Path,
    /,
    *,
    out: Path,
    runs: Path,
    mapping: str | None = None,
    ignore: Names = (),
    network: Literal["paper", "pretrained"] = "pretrained",
    fit: str = "train",
    score: str = "val",
    seeds: Seeds = (0, 1, 2),
    steps: int | None = None,
    precision: str | None = None,
    settings: Options = NONE,
) -> None:
    """Regions without labels: learned on one split, scored on another.

    Anything of "frugalseg discover" can be changed, such as --settings.batch 32.
    """
    from frugalseg.recipes.discovery import DiscoveryStudy, run_discovery

    given = {"steps": steps, "precision": precision}
    changed = {name: value for name, value in given.items() if value is not None}
    changed |= {name: option_value(value) for name, value in settings.items()}
    study = DiscoveryStudy(data, out, runs, mapping, ignore, network, fit, score, seeds, changed)
    print(run_discovery(study, _say), end="")


@app.command
def region_labels(
    runs: list[Path],
    /,
    *,
    out: Path,
    fit: str = "train",
    score: str = "val",
    numbers: Seeds = (),
) -> None:
    """Accuracy of discoveries against the number of labelled images, suggested and random."""
    from frugalseg.recipes.region_labels import NUMBERS, run_region_labels

    run_region_labels(runs, out, fit, score, numbers or NUMBERS, _say)


@app.command
def joined(
    data: Path,
    /,
    *,
    out: Path,
    runs: Path,
    regions: int = 8,
    found: Path | None = None,
    shares: Shares = (1.0, 0.1),
    seeds: Seeds = (0,),
    score: str = "val",
    settings: Options = NONE,
    config: SegmentConfig = SEGMENT,
) -> None:
    """Samplers taught by discovered boundaries, by true ones and not at all, with few masks or all.

    The discovery is trained first, or that of a run is taken (--found); anything of
    "frugalseg discover" can be changed, such as --settings.side 320.
    """
    import dataclasses

    from frugalseg.recipes.joined import JoinedStudy, run_joined

    config = dataclasses.replace(config, data=str(data))
    changed = {name: option_value(value) for name, value in settings.items()}
    study = JoinedStudy(config, out, runs, regions, found, shares, seeds, score, changed)
    print(run_joined(study, _say), end="")


@app.command
def labels(runs: list[Path], /, *, out: Path, shares: Shares = (), numbers: Seeds = ()) -> None:
    """Accuracy of finished runs against the share of labels, and for suggested against random."""
    from frugalseg.recipes.semi import NUMBERS, SHARES, run_label_curves

    run_label_curves(runs, out, shares or SHARES, numbers or NUMBERS, _say)


@app.command
def auto(
    data: Path,
    /,
    *,
    out: Path,
    runs: Path = Path("runs/auto"),
    seeds: Seeds = (0, 1, 2),
    config: ClusterConfig = DEFAULTS,
) -> None:
    """What --clusters auto says, with every seed."""
    import dataclasses

    from frugalseg.recipes.auto import run_auto

    result = run_auto(dataclasses.replace(config, data=str(data)), out, runs, seeds, _say)
    print(f"{result['classes']} classes; chosen: {[run['chosen'] for run in result['runs']]}")


@app.command
def paper(
    number: str,
    data: Path,
    /,
    *,
    out: Path = Path("results/paper"),
    runs: Path = Path("runs/paper"),
    epochs: int = 100,
    seed: int = 0,
    width: int = 64,
) -> None:
    """Train as one of the authors' published runs was, such as 685 (MNIST) or 653 (STL10, IID+).

    Without labels ("IID") on all images; or, semi-supervised ("IID+"), one overclustering head on
    train, named by labels of train, scored on test. docs/clustering.md lists the runs.
    """
    from frugalseg.recipes.paper import run_paper

    print(run_paper(number, data, out, runs, epochs, seed, width, _say), end="")


@app.command
def finetune(
    clustered: Path,
    /,
    *,
    out: Path,
    runs: Path = Path("runs/finetune"),
    shares: Shares = (),
    seeds: Seeds = (0,),
    steps: int = 1000,
    published: bool = False,
) -> None:
    """Accuracy by the share of labels: a clustered trunk fine-tuned, against one from nothing."""
    from frugalseg.recipes.finetune import SHARES, finetune_table, run_finetune

    rows = run_finetune(clustered, out, runs, shares or SHARES, seeds, steps, published, _say)
    print(finetune_table(rows), end="")


@app.command
def ablation(
    *,
    out: Path = Path("results/ablation"),
    runs: Path = Path("runs/ablation"),
    seeds: Seeds = (0, 1, 2),
    variants: Names = (),
) -> None:
    """Digits of scikit-learn without one ingredient at a time: what keeps groups from strokes."""
    from frugalseg.recipes.ablation import run_ablation

    print(run_ablation(out, runs, seeds, variants or None, say=_say), end="")


@app.command
def seconds(
    *runs: Path,
    out: Path,
    scores: Path | None = None,
    split: str = "test",
    images: int = 20,
    rounds: int = 3,
) -> None:
    """Time finished runs of one data set by turns, on a machine with nothing else to do.

    With --scores, a folder of a study, FILE.svg beside --out draws its scores against the seconds.
    """
    from frugalseg.recipes.seconds import draw_seconds, time_runs
    from frugalseg.recipes.study import read_results

    if scores is not None:
        read_results(scores)  # known before minutes of timing
    result = time_runs(runs, split, images, rounds, out, _say)
    for row in result["runs"]:
        print(f"{row['run']:24s} {1e3 * row['seconds']['total']:7.1f} ms")
    if scores is not None:
        draw_seconds(scores, out, out.with_suffix(".svg"))


def main() -> None:
    """Run a recipe; what the user can mend is one sentence and exit code 2."""
    with ending_in_a_sentence(CycloptsError):
        app()


if __name__ == "__main__":
    main()
