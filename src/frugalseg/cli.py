"""The command line: one typed function a command, no logic."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from frugalseg import __version__
from frugalseg.cluster_runs import ClusterConfig
from frugalseg.discover_runs import DiscoverConfig
from frugalseg.errors import ending_in_a_sentence
from frugalseg.finetune_runs import FinetuneConfig
from frugalseg.options import Names, SizeOption
from frugalseg.runs import SegmentConfig

app = App(
    name="frugalseg",
    help="Segment large images from few pixels, read where classes meet.",
    version=__version__,
    help_format="plaintext",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False
# commands that find what an interrupted one has done
GO_ON = ("segment", "cluster", "finetune", "discover", "prepare", "study", "demo")
DEFAULTS = SegmentConfig()
CLUSTER_DEFAULTS = ClusterConfig()
FINETUNE_DEFAULTS = FinetuneConfig()
DISCOVER_DEFAULTS = DiscoverConfig()
prepare = App(name="prepare", help="Make a folder of images and masks from a published data set.")
app.command(prepare)


@app.command
def segment(data: Path, /, *, run: Path | None = None, config: SegmentConfig = DEFAULTS) -> None:
    """Train a segmenter that reads few points of each image, and evaluate it on val.

    An interrupted training goes on when the same command is given again.

    Args:
        data: Folder of images and masks ('frugalseg check FOLDER' says what it sees).
        run: Folder for the run; by default runs/DATA-SAMPLER-SIZE-SEED.
    """
    from frugalseg.commands import segment as work

    work(data, run, config)


@app.command
def cluster(
    data: Path, /, *, run: Path | None = None, config: ClusterConfig = CLUSTER_DEFAULTS
) -> None:
    """Group the images of a folder without labels: a table, and a page to look at.

    Writes RUN/assignments.csv (file, cluster, confidence, second choice) and RUN/report.html. An
    interrupted training goes on when the same command is given again.

    Args:
        data: Folder of images, a data set as its makers ship it, or the word digits.
        run: Folder for the run; by default runs/DATA-clusters-CLUSTERS-SEED.
    """
    from frugalseg.commands import cluster as work

    work(data, run, config)


@app.command
def finetune(
    clustered: Path,
    /,
    *,
    run: Path | None = None,
    config: FinetuneConfig = FINETUNE_DEFAULTS,
) -> None:
    """Teach the network of a clustering run to tell classes, from labels.

    Writes RUN/predictions.csv (file, class, confidence, second choice) for all images, and scores
    on images whose labels were not used. An interrupted training goes on when the same command is
    given again.

    Args:
        clustered: Folder of a finished clustering run.
        run: Folder for the new run; by default CLUSTERED-finetuned-SEED.
    """
    from frugalseg.commands import finetune as work

    work(clustered, run, config)


@app.command
def discover(
    data: Path, /, *, run: Path | None = None, config: DiscoverConfig = DISCOVER_DEFAULTS
) -> None:
    """Divide the images of a folder into kinds of region without labels.

    Writes RUN/report.html to look at, RUN/labels (PNG files of original size), RUN/overlays and
    RUN/regions.csv, the share of each region in each image. An interrupted training goes on when
    the same command is given again.

    Args:
        data: Folder of images, or of images and masks (of which only the images are used).
        run: Folder for the run; by default runs/DATA-regions-CLASSES-SEED.
    """
    from frugalseg.commands import discover as work

    work(data, run, config)


@app.command
def suggest(run: Path, /, *, number: int = 20, out: Path | None = None) -> None:
    """Say which images to label: those whose labels would name most others.

    Writes a table (file,label) whose labels are to be filled in.

    Args:
        run: Folder of a finished clustering run.
        number: How many images.
        out: The table to write; by default RUN/to_label.csv.
    """
    from frugalseg.commands import suggest as work

    work(run, number, out)


@app.command
def predict(
    run: Path, images: list[Path], /, *, out: Path | None = None, masks: str | None = None
) -> None:
    """Label every pixel of new images, or assign new images to clusters, as the run does.

    Segmentation: NAME.png (class ids, original size) and NAME.overlay.jpg for each image.
    Clustering: assignments.csv and report.html. Discovery: labels, overlays and regions.csv, of
    the classes of your masks where you give some. Fine-tuned: predictions.csv.

    Args:
        run: Folder of a finished run.
        images: Image files or folders of them.
        out: Where to write; by default RUN/predictions.
        masks: Of discoveries: masks of some images that the run has learned from, a few of which do
            (suggest says which); finer regions are named by them. A folder of masks, or the word
            folder for those in the data folder.
    """
    from frugalseg.commands import predict as work

    work(run, images, out, masks)


@app.command
def evaluate(
    run: Path,
    /,
    *,
    data: Path | None = None,
    split: str | None = None,
    labels: str | None = None,
    masks: str | None = None,
) -> None:
    """Score a run against the masks of a split, at original resolution; or against labels.

    A discovery whose regions are named by some labelled images is scored on the others.

    Args:
        run: Folder of a finished run.
        data: Folder of images (and masks); by default the one the run was trained on.
        split: train, val or test; by default val, all images for clusterings, and for fine-tuned
            runs the images put aside.
        labels: For clusterings and fine-tuned runs: a CSV file (file,label), or folders. For
            discoveries: a CSV file (file) of the images whose masks may be looked at.
        masks: For discoveries: folder of masks, or the word folder for those in the data folder.
    """
    from frugalseg.commands import evaluate as work

    work(run, data, split, labels, masks)


@app.command
def compare(
    runs: list[Path],
    /,
    *,
    split: str | None = None,
    out: Path = Path("comparison.html"),
    images: int = 4,
) -> None:
    """Several runs side by side: a table, and one HTML page with curves and pictures.

    Args:
        runs: Folders of finished runs on the same data; what is not yet evaluated is evaluated.
        split: train, val or test; by default val, and of clusterings what they were trained on.
        out: The page to write.
        images: How many images to show, of segmentation runs and discoveries.
    """
    from frugalseg.commands import compare as work

    work(runs, split, out, images)


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
    """Draw where an image would be read.

    With a mask: equal density and the paper's energy from weak to strong smoothing. With a run:
    what its sampler chooses.

    Args:
        image: The image.
        mask: Its mask.
        run: A finished run.
        classes: The classes.csv of the mask; by default one beside the mask or above it.
        targets: Names of the classes whose boundaries matter; by default those marked.
        size: Points, rows x columns (with --mask).
        out: The picture to write: .html, .png or .svg.
    """
    from frugalseg.commands import sampling as work

    work(image, mask, run, classes, targets, size, out)


@app.command
def check(
    folder: Path,
    /,
    *,
    classes: Path | None = None,
    ignore: Names = (),
    mapping: Path | None = None,
) -> None:
    """Say what a folder holds: counts, sizes, classes and their shares, and every problem by file.

    Args:
        folder: Folder of images and masks.
        classes: A classes.csv; by default the folder's.
        ignore: Name or id of a class to ignore; may be given several times.
        mapping: A mapping.csv that merges classes into coarser ones, or a name such as camvid-3.
    """
    from frugalseg.commands import check as work

    work(folder, classes, ignore, mapping)


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

    Interrupted, it goes on when the same command is given again.

    Args:
        raw: Folder with train2017/, val2017/ (images) and stuffthingmaps_trainval2017/.
        out: Folder to make.
        classes: 15 (stuff), 3 (sky, plant, ground) or 27 (things too).
        list_: File with a name of an image a line, to be taken in place of the rule's choice; may
            be given several times.
    """
    from frugalseg.commands import prepare_cocostuff as work

    work(raw, out, classes, list_)


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
    """ISPRS Potsdam: the 38 tiles halved and cut, infrared beside them.

    Interrupted, it goes on when the same command is given again.

    Args:
        raw: Folder that holds the tiles top_potsdam_*_RGBIR.tif and top_potsdam_*_label.tif.
        out: Folder to make.
        classes: 6, or 3 (road and car, building and clutter, vegetation and tree).
        crop: Height and width of the crops.
        seed: Draws the test crops.
        ignore_unknown: Ignore label pixels whose colour is none of the six.
    """
    from frugalseg.commands import prepare_potsdam as work

    work(raw, out, classes, crop, seed, ignore_unknown)


@app.command
def study(
    data: Path,
    /,
    *,
    out: Path,
    samplers: Names = ("uniform", "density"),
    sizes: Names = ("64x64",),
    seeds: Annotated[tuple[int, ...], Parameter(negative="")] = (0,),
    split: str = "val",
    runs: Path = Path("runs"),
    config: SegmentConfig = DEFAULTS,
) -> None:
    """Samplers side by side: train and evaluate each with each number of points and each seed.

    What is there already is not done again.

    Args:
        data: Folder of images and masks.
        out: Folder for the result files and table.md.
        samplers: Sampler to take part; may be given several times.
        sizes: Points as ROWSxCOLUMNS; may be given several times.
        seeds: Seed; may be given several times.
        split: The split to report on: train, val or test.
        runs: Folder for the runs.
    """
    from frugalseg.commands import study as work

    work(data, out, samplers, sizes, seeds, split, runs, config)


@app.command
def demo(*, out: Path = Path("demo"), seed: int = 0) -> None:
    """Street scenes by uniform and adaptive sampling at equal cost; digits grouped without labels.

    Args:
        out: Where scenes, runs and pages go.
        seed: Seeds everything.
    """
    from frugalseg.recipes.demo import run_demo
    from frugalseg.recipes.demo_clusters import run_cluster_demo

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
    from frugalseg.commands.option_file import read_option_file

    try:
        app.config = () if config is None else (read_option_file(config, app),)
        return app(tokens)
    except KeyboardInterrupt as stop:
        goes_on = bool(tokens) and tokens[0] in GO_ON
        raise KeyboardInterrupt("; the same command goes on from here" * goes_on) from stop


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what the user can mend is one sentence and exit code 2.

    Args:
        arguments: words of the command; by default those that the program was started with.
    """
    try:
        with ending_in_a_sentence(CycloptsError):
            app.meta(arguments)
    except KeyboardInterrupt as stop:
        sys.stderr.write(f"frugalseg: interrupted{''.join(map(str, stop.args))}.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
