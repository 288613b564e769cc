"""The experiments behind the files under results/.

Each goes on where it was interrupted when the same command is given again.
"""

from cyclopts import App, CycloptsError

from frugalseg import console
from frugalseg.errors import ending_in_a_sentence

# the functions of this name in the modules that are named; they are imported when asked for
EXPERIMENTS = {
    "grid": ("grid", "Runs of any task over a grid of settings and seeds."),
    "study": ("grid", "Samplers side by side, with several numbers of points and seeds."),
    "paper": ("paper", "Train as one of the authors' published clusterings was, by its number."),
    "ablation": ("ablation", "Digits grouped without one ingredient at a time."),
    "baselines": ("baselines", "Groups of images: k-means on pixels, PCA, features; UMAP."),
    "segmentation_baselines": (
        "segmentation_baselines",
        "Groups of pixels: k-means on colours, segments and features, scored by masks.",
    ),
    "num_clusters": ("num_clusters", "What --clusters auto says, with every seed."),
    "label_efficiency": (
        "label_efficiency",
        "Accuracy of clusterings by the share of labels, suggested and random.",
    ),
    "mask_efficiency": (
        "mask_efficiency",
        "Accuracy of discoveries by the number of masks, suggested and random.",
    ),
    "mask_classifiers": (
        "mask_classifiers",
        "Few masks: finetune on a discovery beside naming its regions and a plain probe.",
    ),
    "boundary_transfer": (
        "boundary_transfer",
        "Samplers taught by discovered boundaries, by true ones and not at all.",
    ),
    "reading": ("reading", "Scores of segmentations by how their images are read."),
    "latency": ("latency", "Time finished segmentations by turns, on a quiet machine."),
}

app = App(
    name="python -m experiments",
    help=__doc__,
    help_format="plaintext",
    exit_on_error=False,
    print_error=False,
)
for _name, (_module, _help) in EXPERIMENTS.items():
    app.command(f"experiments.{_module}:{_name}", name=_name.replace("_", "-"), help=_help)


def main(arguments: list[str] | None = None) -> None:
    """Run an experiment; what the user can mend is one sentence and exit code 2.

    Args:
        arguments: words of the command; by default those that the program was started with.
    """
    console.show()
    with ending_in_a_sentence(CycloptsError):
        result = app(arguments, result_action="return_value")
        if isinstance(result, str):
            print(result, end="")


if __name__ == "__main__":
    main()
