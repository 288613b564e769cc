"""The settings of a fine-tuning: a classifier on the backbone of a clustering or a discovery.

Beside the files of :mod:`frugalseg.engine.run_dir` a run has a table of the use of each label:
training, score or nothing. On a clustering it is ``labels.csv`` (file, label, used), on a discovery
``masks.csv`` (file, used), and there are ``labels/*.png``, ``overlays/*.jpg``, ``regions.csv`` and
``classes.csv`` too. The clustering or discovery is not needed once the training has ended.
"""

import typing
from dataclasses import dataclass

from cyclopts import Parameter

from frugalseg.augment.config import PRESETS
from frugalseg.engine.config import Names, Options, TrainingConfig, setting

METHODS = ("auto", "network", "probe", "groups", "both")


@Parameter(name="*")
@dataclass(frozen=True)
class FinetuneConfig(TrainingConfig):
    """Teach a clustering run to classify images from labels, or a discovery to segment from masks.

    From labels it writes RUN/predictions.csv (file, class, confidence, second choice) for all
    images; from masks, of which a few are enough, RUN/labels (PNG files of original size) and
    RUN/overlays. Scores are of images whose labels or masks were not used. An interrupted training
    goes on if the same command is given again.
    """

    task: typing.ClassVar[str] = "finetune"
    source: typing.ClassVar[str] = "clustering"
    default_run: typing.ClassVar[str] = "CLUSTERING-finetuned-SEED"

    clustering: typing.Annotated[str, Parameter(parse=False)] = setting(
        "", "Folder of a finished clustering or discovery, whose backbone is used."
    )
    data: str = setting(
        "",
        "Folder of images; by default the one the run was trained on.",
    )
    labels: str | None = setting(
        None, "A CSV file (file,label), or folders; by default the run's, or the data set's own."
    )
    masks: str | None = setting(
        None,
        "For discoveries: a folder of masks of some images (pixels of 255 say nothing, so strokes "
        "will do), or the word folder for those in the data folder; by default the run's.",
    )
    class_list: str | None = setting(
        None, "A classes.csv of the masks; by default the one in their folder."
    )
    mapping: str | None = setting(None, "A mapping.csv that merges fine classes of the masks.")
    ignore: typing.Annotated[Names, Parameter(show_default=False)] = setting(
        (), "Name or id of a class of the masks to ignore; may be given several times."
    )
    method: str = setting(
        "auto",
        "What answers. probe: a linear classifier on the backbone's features; groups: the finer "
        "clusters or regions, named by the labels; both: their mean, the probe counting more the "
        "more labels there are; network (clusterings only): a classifier, the backbone learning "
        "too. auto: network on a clustering whose backbone was trained; else both, unless "
        "cross-validation over the labelled images says clearly that one is better",
        choices=METHODS,
    )
    balanced: typing.Annotated[bool, Parameter(negative="")] = setting(
        False, "For probes: every class counts alike, however few its pixels."
    )
    split: str | None = setting(
        None,
        "Images to learn from; by default train if the data have train and test, else all. With "
        "masks, val will do for test.",
    )
    test: str | None = setting(
        None, "Images to score on; by default test, else a part of the labelled ones held out."
    )
    hold_out: float = setting(
        0.2,
        "Share of each class's labelled images, or of 20 masks or more, held out to score on, if "
        "there is no test; 0 learns from all and scores nothing.",
        at_least=0,
        below=1,
    )
    share: float = setting(
        1.0, "Of the labels to learn from, keep so many, drawn by the seed.", above=0, at_most=1
    )
    steps: int = setting(1000, "Training steps.", at_least=1)
    batch_size: int = setting(128, "Images in a step.", at_least=2, at_most=65536)
    learning_rate: float = setting(
        1e-3, "Learning rate of the classifier; the backbone learns at a tenth of it.", above=0
    )
    hidden: int = setting(
        2048, "Features of the classifier's hidden layer.", at_least=1, at_most=65536
    )
    augment: str | None = setting(
        None,
        "How views are made; by default as the run's, stl-supervised if those are stl",
        choices=PRESETS,
    )
    augment_options: Options = setting(
        {}, "Further settings of the views, such as --augment-options.cut 0.5.", at_most=10_000
    )
    crops: int = setting(
        1,
        "Views that an answer is averaged over: 1 (centre) or 5 (corners too), and their mirror "
        "images if views are flipped.",
        at_least=1,
        at_most=5,
    )
    untrained: typing.Annotated[bool, Parameter(negative="")] = setting(
        False, "Begin with the same network from nothing, for comparison."
    )
