"""The command line: one typed function for each command, without logic.

The training commands are made from the configurations of the tasks.
"""

import io
import signal
import sys
import typing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter, convert

from frugalseg import __version__, console
from frugalseg.engine.config import Names, SizeOption, TrainingConfig, help_of
from frugalseg.errors import FrugalsegError, ending_in_a_sentence, printable
from frugalseg.tasks import CONFIGS


def _converted(hint: Any, tokens: Any) -> Any:
    """The value of words, as cyclopts reads them, but 1.5 is not rounded to a whole number."""
    if int in (hint, *typing.get_args(hint)):
        for token in tokens:
            if "." in token.value:
                raise ValueError(f"{token.value} is not a whole number.")
    return convert(hint, tokens)


app = App(
    name="frugalseg",
    help="Segment large images from few pixels, read where classes meet; group and segment images "
    "with few labels.",
    version=__version__,
    help_format="markdown",
    default_parameter=Parameter(converter=_converted),
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False
Paths = Annotated[list[Path], Parameter(json_list=False)]  # names may begin with a bracket
# commands that resume after an interruption
RESUMING = (*CONFIGS, "prepare", "demo")
prepare = App(name="prepare", help="Make a folder of images and masks from a published data set.")


def _training_command(kind: type[TrainingConfig]) -> Callable[..., None]:
    """The command that trains runs of a task, made from the class of its configurations."""
    default = kind()

    def command(source: Path, /, *, run: Path | None = None, config: Any = default) -> None:
        from frugalseg.tasks import base

        base.train(replace(config, **{kind.source: str(source)}), run)

    name = Parameter(name=kind.source.upper())
    command.__annotations__ |= {"source": Annotated[Path, name], "config": kind}
    command.__doc__ = (
        f"{kind.__doc__}\n\n    Args:\n        source: {help_of(kind, kind.source)}\n"
        f"        run: Folder of the run; by default {kind.default_run}.\n    "
    )
    return command


for _name, _kind in CONFIGS.items():
    app.command(_training_command(_kind), name=_name)
app.command(prepare)


@app.command
def suggest(run: Path, /, *, number: int = 20, out: Path | None = None) -> None:
    """Suggest images to label: those whose labels would name most other images.

    Writes a table (file,label); fill in the labels.

    Args:
        run: Folder of a finished clustering or discovery.
        number: Number of images.
        out: The table to write; by default RUN/to_label.csv.
    """
    from frugalseg.tasks import base

    base.suggest(run, number, out)


@app.command
def predict(
    run: Path,
    images: Paths,
    /,
    *,
    out: Path | None = None,
    masks: str | None = None,
    overlay_side: int | None = None,
    probabilities: Literal["npz", "png"] | None = None,
    probabilities_size: SizeOption | None = None,
) -> None:
    """Label every pixel of new images, or assign new images to clusters, by a finished run.

    Segmentation: NAME.png (class ids, original size) and NAME.overlay.jpg for each image.
    Clustering: assignments.csv and report.html. Discovery: labels, overlays and regions.csv, with
    the classes of your masks if you give some. Fine-tuned: predictions.csv, or on a discovery
    labels, overlays and regions.csv of its classes.

    Args:
        run: Folder of a finished run.
        images: Image files or folders of them.
        out: Folder to write to; by default RUN/predictions.
        masks: For discoveries: masks that name finer regions, of some images that the run learned
            from; a few are enough (suggest lists them). A folder of masks, or the word folder for
            those in the data folder.
        overlay_side: For segmentations: longest side of NAME.overlay.jpg in pixels, by default
            2048; 0 for the image's own size, which needs memory for the whole image.
        probabilities: For segmentations: npz for the probability of each class at each pixel
            (NAME.probabilities.npz), png for the highest of them as 16-bit grey
            (NAME.confidence.png).
        probabilities_size: Height and width of the probabilities; by default the image's own.
    """
    from frugalseg.tasks import base

    base.predict(
        run,
        images,
        out,
        masks=masks,
        overlay_side=overlay_side,
        probabilities=probabilities,
        probabilities_size=probabilities_size,
    )


@app.command
def evaluate(
    run: Path,
    /,
    *,
    data: str | None = None,
    split: str | None = None,
    labels: str | None = None,
    images: str | None = None,
    masks: str | None = None,
    labelled: Path | None = None,
) -> None:
    """Score a run against the masks of a split, at original resolution; or against labels.

    If some labelled images name the regions of a discovery, it is scored on the others.

    Args:
        run: Folder of a finished run.
        data: Folder of images (and masks); by default the run's training data.
        split: train, val, test or all; by default val, all images for clusterings and for other
            data without splits, and the images held out for fine-tuned runs.
        labels: For clusterings and fine-tuned runs: a CSV file (file,label), or the word folders.
        images: For segmentations: folder of the images, if the layout is not a known one.
        masks: Folder of masks; for discoveries, fine-tuned or not, also the word folder for those
            in the data folder.
        labelled: For discoveries: a CSV file (file) of the images whose masks may name regions.
    """
    from frugalseg.tasks import base

    base.evaluate(run, data, split, labels=labels, images=images, masks=masks, labelled=labelled)


@app.command
def compare(
    runs: Paths,
    /,
    *,
    split: str | None = None,
    out: Path = Path("comparison.html"),
    images: int = 4,
) -> None:
    """Compare runs in a table, and on an HTML page with curves and pictures.

    Args:
        runs: Folders of finished runs on the same data; missing evaluations are made.
        split: train, val, test or all; by default val, or the training images for clusterings.
        out: The page to write.
        images: Number of images to show, for segmentation runs and discoveries.
    """
    from frugalseg.tasks import base

    base.compare(runs, split, out, images)


@app.command
def sampling(
    image: Path,
    /,
    *,
    mask: Path | None = None,
    run: Path | None = None,
    classes: Path | None = None,
    targets: Names | None = None,
    size: SizeOption = (64, 64),
    out: Path = Path("sampling.html"),
) -> None:
    """Draw the points at which an image would be read.

    With a mask: equal density, and the paper's energy from weak to strong smoothing. With a run:
    the points of its sampler.

    Args:
        image: The image.
        mask: Its mask.
        run: A finished run.
        classes: The classes.csv of the mask; by default one beside the mask or above it.
        targets: Names of the classes whose boundaries matter; by default those marked.
        size: Points, rows x columns (with --mask).
        out: The picture to write: .html, .png or .svg.
    """
    from frugalseg.tasks.segment.draw import draw_samplings

    draw_samplings(image, mask, run, classes, targets, size, out)


@app.command
def check(
    folder: Path,
    /,
    *,
    images: Path | None = None,
    masks: Path | None = None,
    classes: Path | None = None,
    ignore: Names = (),
    mapping: Path | None = None,
) -> None:
    """Describe a folder: counts, sizes, classes and their shares, and every problem by file.

    Args:
        folder: Folder of images and masks.
        images: Folder of the images, below FOLDER or elsewhere, if the layout is not a known one.
        masks: Folder of the masks, likewise.
        classes: A classes.csv; by default the folder's.
        ignore: Name or id of a class to ignore; may be given several times.
        mapping: A mapping.csv that merges classes into coarser ones, or a name such as camvid-3.
    """
    from frugalseg.data.check import check_folder, format_report

    report = check_folder(
        folder, images=images, masks=masks, classes=classes, ignore=ignore, mapping=mapping
    )
    print(printable(format_report(report)))
    if report.problems:
        count = len(report.problems)
        raise FrugalsegError(f"{folder} has {count} problem{'s' * (count > 1)} (above).")


@prepare.command(name="cocostuff")
def prepare_cocostuff(
    raw: Path,
    /,
    *,
    out: Path,
    classes: int = 15,
    list_: Annotated[
        tuple[Path, ...], Parameter(name="list", negative="", show_default=False)
    ] = (),
) -> None:
    """COCO-Stuff 164k: a third of the size, coarse classes, images that mostly show them.

    If interrupted, it resumes when the same command is given again.

    Args:
        raw: Folder with train2017/, val2017/ (images) and stuffthingmaps_trainval2017/.
        out: Folder to make.
        classes: 15 (stuff), 3 (sky, plant, ground) or 27 (things too).
        list_: File with the name of an image on each line, in place of the choice by rule; may be
            given several times.
    """
    from frugalseg.data.check import counts_text
    from frugalseg.data.formats.cocostuff import prepare_cocostuff as work

    print(counts_text(work(raw, out, classes, list_)))


@prepare.command(name="potsdam")
def prepare_potsdam(
    raw: Path,
    /,
    *,
    out: Path,
    classes: int = 6,
    crop: int = 200,
    seed: int = 0,
    ignore_unknown: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """ISPRS Potsdam: the 38 tiles, halved and cut into crops, with infrared.

    If interrupted, it resumes when the same command is given again.

    Args:
        raw: Folder that holds the tiles top_potsdam_*_RGBIR.tif and top_potsdam_*_label.tif.
        out: Folder to make.
        classes: 6, or 3 (road and car, building and clutter, vegetation and tree).
        crop: Height and width of the crops.
        seed: Draws the test crops.
        ignore_unknown: Ignore label pixels whose colour is none of the six.
    """
    from frugalseg.data.check import counts_text
    from frugalseg.data.formats.potsdam import prepare_potsdam as work

    print(counts_text(work(raw, out, classes, crop, seed, ignore_unknown)))


@app.command
def demo(*, out: Path = Path("demo"), seed: int = 0) -> None:
    """Street scenes by uniform and adaptive sampling at equal cost; digits grouped without labels.

    Args:
        out: Folder for scenes, runs and pages.
        seed: Seeds everything.
    """
    from frugalseg.demo.clusters_demo import run_cluster_demo
    from frugalseg.demo.scenes_demo import run_demo

    run_demo(out, seed)
    run_cluster_demo(out / "digits", seed)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Path | None = None,
) -> Any:
    """Any command also takes --config FILE.yaml.

    Args:
        config: YAML file with options, under the name of the command.
    """
    from frugalseg._option_file import read_option_file

    with console.signals_interrupting() as received:
        try:
            app.config = () if config is None else (read_option_file(config, app),)
            return app(tokens)
        except BaseException as stop:  # a library may turn the interruption into another error
            if not received and not isinstance(stop, KeyboardInterrupt):
                raise
            goes_on = bool(tokens) and tokens[0] in RESUMING
            hint = "; the same command goes on from here" * goes_on
            sys.stderr.write(f"frugalseg: interrupted{hint}.\n")
            sys.exit(128 + (received or [signal.SIGINT])[0])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that the user can fix become one sentence and exit code 2.

    Args:
        arguments: words of the command; by default those of this process.
    """
    console.show()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names need not fit the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    with ending_in_a_sentence(CycloptsError):
        app.meta(arguments)


if __name__ == "__main__":
    main()
