"""A run is a folder that loads with nothing but itself.

config.yaml          everything needed to train it again
classes.csv          the classes, in the order of the scores
state.json           what was chosen on the way, and whether the training is finished
weights.safetensors  sampler and segmenter
metrics.jsonl        one line for each 100 steps
environment.json     versions, hardware, date
results/*.json       evaluations
report.html          how it answers for images of val, and what it costs
checkpoints/         of an unfinished training
"""

import dataclasses
import json
import os
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cyclopts import Parameter

from frugalseg.data.classes import ClassList, read_classes, write_classes
from frugalseg.errors import FrugalsegError
from frugalseg.files import write_whole
from frugalseg.options import Names, Options, Size, SizeOption, option_value, parse_size
from frugalseg.weights import load_weights

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Set

    from frugalseg.pipeline import FrugalModel

FORMAT = 1
STATE = frozenset({"finished", "view", "trust"})  # what the state of a segmentation run holds


@Parameter(name="*")
@dataclass(frozen=True)
class SegmentConfig:
    """Everything that decides how a segmentation run is trained.

    Attributes:
        data: Folder of images and masks.
        size: Points read of each image, as ROWSxCOLUMNS.
        sampler: Where to look: density, direct, boundary, saliency, uniform or oracle.
        segmenter: unet, pspnet, deeplabv3plus, fpn or another of docs/settings.md, or unet-plain.
        encoder: Any timm encoder; the weights of the default come with the package.
        pretrained: Start the encoder from ImageNet weights.
        told: Tell the segmenter where each sample lies and how wide its cell is.
        view: Cells of the small view that the sampler sees; by default twice as many as points.
        steps: Training steps of the segmenter.
        sampler_steps: Training steps of the sampler.
        batch: Images a step.
        rate: Highest learning rate of the segmenter.
        sampler_rate: Highest learning rate of the sampler.
        loss: balanced, cross-entropy or balanced-iou.
        loss_at: Where it is taken: at the samples, or at pixels, interpolated as in use.
        trust: How far the sampler is followed, 0 (uniform) to 1; by default chosen on val.
        folds: 2 or more: each training image is sampled by a sampler not taught with it.
        joint: Teach the sampler through the segmentation loss as well.
        min_scale: Training crops are at least this high and wide, relative to the image.
        flips: none, horizontal or both.
        seed: Seeds everything: the same seed gives the same run on the same machine.
        classes: A classes.csv (name,id,colour,target); by default the one in the folder.
        ignore: Name or id of a class to ignore; may be given several times.
        targets: Name of a class one mainly looks for; may be given several times.
        mapping: A mapping.csv that merges classes into coarser ones, or a name such as camvid-3.
        val_share: Share of the training images held out where the folder has no val.
        hold_out: Share of the training images held out for every choice; val then decides nothing.
        boundaries: Folder of a finished discover run: the boundaries of its finer regions teach
            the sampler, in place of the masks', on all training images, with a mask or without.
            Where there is no mask at all, its regions are what sampler and segmenter learn.
        mask_share: Share of the training masks that are used; the other images are as without one.
        precision: Number format of the training, such as bf16-mixed (Lightning's names).
        devices: Number of devices, or auto.
        nodes: Number of machines.
        sampler_options: Further options of the sampler, such as --sampler-options.share 0.6.
        segmenter_options: Further options of the segmenter.
    """

    task: typing.ClassVar[str] = "segment"

    data: typing.Annotated[str, Parameter(parse=False)] = ""
    size: SizeOption = (64, 64)
    sampler: str = "density"
    segmenter: str = "unet"
    encoder: str = "tf_efficientnet_lite0"
    pretrained: bool = True
    told: bool = True
    view: SizeOption | None = None
    steps: int = 1000
    sampler_steps: int = 800
    batch: int = 8
    rate: float = 2e-3
    sampler_rate: float = 6e-3
    loss: str = "balanced"
    loss_at: str = "samples"
    trust: float | None = None
    folds: int = 1
    joint: bool = False
    min_scale: float = 0.5
    flips: str = "horizontal"
    seed: int = 0
    classes: str | None = None
    ignore: typing.Annotated[Names, Parameter(show_default=False)] = ()
    targets: Names | None = None
    mapping: str | None = None
    val_share: float = 0.15
    hold_out: float = 0.0
    boundaries: str | None = None
    mask_share: float = 1.0
    precision: str = "32-true"
    devices: str = "auto"
    nodes: int = 1
    sampler_options: Options = field(default_factory=dict)
    segmenter_options: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        # options of networks come as words from the command line, as values from YAML
        for name in ("sampler_options", "segmenter_options"):
            values = {k.replace("-", "_"): option_value(v) for k, v in getattr(self, name).items()}
            object.__setattr__(self, name, values)


@dataclass(frozen=True)
class Run:
    """A finished run, loaded."""

    folder: Path
    config: SegmentConfig
    classes: ClassList
    state: dict[str, Any]
    model: "FrugalModel"


def config_hash(config: Any) -> str:
    """Twelve hexadecimal digits that differ where any setting does."""
    import hashlib

    text = json.dumps(dataclasses.asdict(config), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def find_run(
    folder: Path,
    config: Any,
    read: "Callable[[Path], Any] | None" = None,
    needs: "Set[str]" = STATE,
) -> dict[str, Any] | None:
    """Look whether a run can be made in a folder, or goes on there; changes nothing.

    Args:
        folder: where the run lives or shall live.
        config: how it is trained.
        read: reads the configuration of a run; by default :func:`read_config`.
        needs: see :func:`read_state`.

    Returns:
        The state of the run that is there; None where the folder is free.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    if (folder / "config.yaml").exists():
        there = (read or read_config)(folder)
        if there != config:
            raise FrugalsegError(
                f"{folder} holds a run with other settings ({_differences(there, config)}). "
                "Name another folder with --run, or remove this one."
            )
        return (
            read_state(folder, needs) if (folder / "state.json").exists() else {"finished": False}
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise FrugalsegError(
            f"{folder} is not empty and is no run: name another folder with --run."
        )
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise FrugalsegError(
            f"{folder} cannot be made, {existing} is "
            f"{'not writable' if existing.is_dir() else 'a file'}: name another folder with --run."
        )
    return None


def open_run(folder: Path, config: SegmentConfig, classes: ClassList) -> dict[str, Any]:
    """Make a run folder, or open an unfinished one of the same configuration.

    Args:
        folder: where the run lives.
        config: how it is trained.
        classes: its classes.

    Returns:
        The run's state; ``state["finished"]`` tells whether there is anything left to do.

    Raises:
        FrugalsegError: the folder holds something else, or cannot be written.
    """
    state = find_run(folder, config)
    if state is not None:
        return state
    text = yaml.safe_dump({"format": FORMAT, **_plain(config)}, sort_keys=False)
    there = folder.exists()
    try:
        write_classes(classes, folder / "classes.csv")
        write_whole(text.encode(), folder / "config.yaml")
    except FrugalsegError:
        (folder / "classes.csv").unlink(missing_ok=True)
        if folder.is_dir() and not there:
            folder.rmdir()
        raise
    return {"finished": False}


def write_state(folder: Path, state: dict[str, Any]) -> None:
    write_whole(json.dumps(state, indent=1).encode(), folder / "state.json")


def read_state(folder: Path, needs: "Set[str]" = STATE) -> dict[str, Any]:
    """The run's state file.

    Args:
        folder: the run's folder.
        needs: what it must hold.

    Raises:
        FrugalsegError: it is missing or damaged.
    """
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FrugalsegError(
            f"{folder} is no complete run (state.json: {error}). Train it again."
        ) from error
    if not isinstance(state, dict) or not needs <= state.keys():
        raise FrugalsegError(f"{folder / 'state.json'} lacks what a run needs. Train it again.")
    return state


def read_settings(folder: Path) -> dict[str, Any]:
    """What the config.yaml of a run says, of whatever task.

    Raises:
        FrugalsegError: there is none, or it is of another version.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        raise FrugalsegError(f"{folder} is no run: it has no config.yaml.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise FrugalsegError(f"{path} cannot be read ({_one_line(error)}).") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise FrugalsegError(
            f"{path} was written by another version of frugalseg: train the run again with this."
        )
    return values


def read_config(folder: Path) -> SegmentConfig:
    """The configuration of a segmentation run.

    Raises:
        FrugalsegError: there is none, it is of another version or task, or it has unknown settings.
    """
    path = folder / "config.yaml"
    values = read_settings(folder)
    task = values.pop("task", "segment")
    if task != "segment":
        raise FrugalsegError(f"{folder} is a {task} run, not a segmentation.")
    known = {f.name for f in dataclasses.fields(SegmentConfig)}
    unknown = set(values) - known
    if unknown or "data" not in values:
        raise FrugalsegError(
            f"{path} has unknown settings: {', '.join(sorted(unknown))}."
            if unknown
            else f"{path} names no data."
        )
    return SegmentConfig(**{name: _typed(name, value) for name, value in values.items()})


def load_run(folder: Path | str) -> Run:
    """Load a finished run; its model is on the GPU where there is one.

    Args:
        folder: the run's folder.

    Raises:
        FrugalsegError: the folder is incomplete, unfinished, or its weights do not fit.
    """
    import torch

    folder = Path(folder)
    if not folder.is_dir():
        raise FrugalsegError(f"{folder}: there is no such run.")
    config = read_config(folder)
    if not (folder / "classes.csv").is_file():
        raise FrugalsegError(f"{folder} is no complete run: classes.csv is missing.")
    classes = read_classes(folder / "classes.csv")
    state = read_state(folder) if (folder / "state.json").exists() else {}
    weights = folder / "weights.safetensors"
    if not state.get("finished") or not weights.is_file():
        raise FrugalsegError(
            f"{folder} is not finished: give the same 'frugalseg segment' command again to go on."
        )
    model = build_model(config, classes.num_classes, tuple(state["view"]), pretrained=False)
    model.trust = state["trust"]
    load_weights(model, weights)
    model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return Run(folder, config, classes, state, model.eval())


def build_model(
    config: SegmentConfig, num_classes: int, view: Size, pretrained: bool | None = None
) -> "FrugalModel":
    """The untrained model of a configuration.

    Args:
        config: the configuration.
        num_classes: number of classes.
        view: size of the sampler's view.
        pretrained: overrides the configuration's.
    """
    from frugalseg.networks.samplers import build_sampler
    from frugalseg.networks.segmenters import build_segmenter
    from frugalseg.pipeline import OVERSAMPLE, FrugalModel

    segmenter = build_segmenter(
        config.segmenter,
        num_classes,
        config.encoder,
        config.pretrained if pretrained is None else pretrained,
        extra_channels=4 if config.told else 0,
        **config.segmenter_options,
    )
    sampler = build_sampler(config.sampler, config.size, **config.sampler_options)
    oversample = OVERSAMPLE["uniform" if config.sampler == "uniform" else "adaptive"]
    return FrugalModel(sampler, segmenter, view, config.size, oversample=oversample)


def _plain(config: SegmentConfig) -> dict[str, Any]:
    """As YAML people would write it: sizes as 64x64, no tuples."""
    values = dataclasses.asdict(config)
    for name in ("size", "view"):
        if values[name] is not None:
            values[name] = "x".join(map(str, values[name]))
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def _typed(name: str, value: Any) -> Any:
    if name in ("size", "view") and value is not None:
        return parse_size(value)
    return tuple(value) if isinstance(value, list) else value


def _differences(old: Any, new: Any) -> str:
    names = [
        f.name for f in dataclasses.fields(old) if getattr(old, f.name) != getattr(new, f.name)
    ]
    return ", ".join(f"{n}: {getattr(old, n)} there, {getattr(new, n)} asked" for n in names[:3])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
