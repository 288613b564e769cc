"""The settings of a segmentation run."""

import typing
from dataclasses import dataclass

from cyclopts import Parameter

from frugalseg.engine.config import Names, Options, SizeOption, TrainingConfig, setting
from frugalseg.models import SAMPLERS, SEGMENTERS
from frugalseg.registry import Registry

_LOSSES = "frugalseg.tasks.segment.losses"

# Functions from the shares of the classes to a loss on (scores, labels); the default comes first.
LOSSES = Registry(
    "loss",
    {
        "balanced": f"{_LOSSES}:balanced",
        "cross-entropy": f"{_LOSSES}:cross_entropy",
        "balanced-iou": f"{_LOSSES}:balanced_iou",
    },
)


@Parameter(name="*")
@dataclass(frozen=True)
class SegmentConfig(TrainingConfig):
    """Train a segmenter that reads few points of each image, and evaluate it on val.

    An interrupted training resumes if the same command is given again.
    """

    task: typing.ClassVar[str] = "segment"
    default_run: typing.ClassVar[str] = "runs/DATA-SAMPLER-SIZE-SEED"

    data: typing.Annotated[str, Parameter(parse=False)] = setting(
        "",
        "Folder of images and masks ('frugalseg check FOLDER' describes it).",
    )
    images: str | None = setting(
        None, "Folder of the images, below DATA or elsewhere, if the layout is not a known one."
    )
    masks: str | None = setting(None, "Folder of the masks, likewise.")
    size: SizeOption = setting(
        (64, 64), "Points read of each image, as ROWSxCOLUMNS.", at_most=2048
    )
    sampler: str = setting("density", "Where to look", choices=SAMPLERS)
    segmenter: str = setting("unet", "The network that labels the samples", choices=SEGMENTERS)
    encoder: str = setting(
        "tf_efficientnet_lite0",
        "Any timm encoder; the weights of the default come with the package.",
    )
    pretrained: bool = setting(True, "Start the encoder from ImageNet weights.")
    coordinates: bool = setting(
        True, "Tell the segmenter where each sample lies and how wide its cell is."
    )
    thumbnail: SizeOption | None = setting(
        None,
        "Cells of the thumbnail that the sampler sees; by default twice as many as points.",
        at_least=16,
        at_most=8192,
    )
    steps: int = setting(1000, "Training steps of the segmenter.", at_least=1)
    sampler_steps: int = setting(800, "Training steps of the sampler.", at_least=1)
    batch_size: int = setting(8, "Images in a step.", at_least=2, at_most=4096)
    learning_rate: float = setting(2e-3, "Highest learning rate of the segmenter.", above=0)
    sampler_learning_rate: float = setting(6e-3, "Highest learning rate of the sampler.", above=0)
    loss: str = setting("balanced", "The loss of the segmenter", choices=LOSSES)
    loss_at: str = setting(
        "samples",
        "Compute the loss at the samples, or at pixels after interpolation, as in use",
        choices=("samples", "pixels"),
    )
    blend: float | None = setting(
        None,
        "How far the sampler is followed, 0 (uniform) to 1; by default chosen on val.",
        at_least=0,
        at_most=1,
    )
    folds: int = setting(
        1,
        "2 or more: each training image is sampled by a sampler that was not trained on it.",
        at_least=1,
    )
    joint: bool = setting(False, "Teach the sampler through the segmentation loss as well.")
    min_scale: float = setting(
        0.5,
        "Training crops are at least this high and wide, relative to the image.",
        above=0,
        at_most=1,
    )
    flips: str = setting(
        "horizontal", "How training images are mirrored", choices=("none", "horizontal", "both")
    )
    classes: str | None = setting(
        None, "A classes.csv (name,id,colour,target); by default the one in the folder."
    )
    ignore: typing.Annotated[Names, Parameter(show_default=False)] = setting(
        (), "Name or id of a class to ignore; may be given several times."
    )
    targets: Names | None = setting(
        None, "Name of a class one mainly looks for; may be given several times."
    )
    mapping: str | None = setting(
        None, "A mapping.csv that merges classes into coarser ones, or a name such as camvid-3."
    )
    val_share: float = setting(
        0.15,
        "Share of the training images held out if the folder has no val.",
        at_least=0,
        below=1,
    )
    hold_out: float = setting(
        0.0,
        "Share of the training images held out for all choices; val then decides nothing.",
        at_least=0,
        below=1,
    )
    boundaries: str | None = setting(
        None,
        "Folder of a finished discover run: the boundaries of its finer regions teach the sampler, "
        "in place of the masks', on all training images, with a mask or without. If there are no "
        "masks at all, sampler and segmenter learn its regions.",
    )
    mask_share: float = setting(
        1.0,
        "Share of the training masks that are used; the other images count as having none.",
        above=0,
        at_most=1,
    )
    sampler_options: Options = setting(
        {}, "Further options of the sampler, such as --sampler-options.share 0.6.", at_most=10_000
    )
    segmenter_options: Options = setting({}, "Further options of the segmenter.", at_most=10_000)
