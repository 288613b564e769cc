"""Train a segmentation run: sampler, trust, segmenter; each part goes on where it was left."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frugalseg._memory import keep_freed_memory
from frugalseg.data.classes import ClassList
from frugalseg.data.divided import has_masks, open_divided_folder
from frugalseg.data.folder import SegmentationFolder, hold_out, open_folder
from frugalseg.data.images import image_size, read_image
from frugalseg.data.layout import Sample
from frugalseg.data.masks import read_mask
from frugalseg.discover_runs import DiscoverConfig, DiscoverPlan, load_discover_run
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.results import write_environment
from frugalseg.networks.samplers import OracleSampler, build_sampler, default_view
from frugalseg.pipeline import FrugalModel
from frugalseg.runs import (
    SegmentConfig,
    build_model,
    config_hash,
    find_run,
    open_run,
    read_state,
    write_state,
)
from frugalseg.task_runs import read_finished
from frugalseg.training.examples import Augmentation, ImageStore, Size, Steps
from frugalseg.training.hardware import hardware, seed_everything
from frugalseg.training.limits import refuse_out_of_range
from frugalseg.training.trust import choose_trust
from frugalseg.weights import save_weights

# A sampler sees whole images in use, each cell of its view as wide as here: crops nearly as large.
SAMPLER_SCALE = 0.8
LATTICE = 4  # pixels between two uniform samples, at which a loss "at pixels" is taken


def open_data(config: SegmentConfig) -> SegmentationFolder:
    """The data set that a configuration names; with ``hold_out`` it has a split "held" as well."""
    dataset = _open(config)
    splits = dict(dataset.splits)
    if config.hold_out and splits.get("train"):
        splits["train"], splits["held"] = hold_out(splits["train"], config.hold_out, seed=0)
    if 0 < config.mask_share < 1 and splits.get("train"):
        splits["train"], rest = hold_out(splits["train"], 1 - config.mask_share, seed=0)
        lone = tuple(replace(sample, mask=None) for sample in rest)
        splits["unlabelled"] = splits.get("unlabelled", ()) + lone
    return replace(dataset, splits=splits)


def _open(config: SegmentConfig) -> SegmentationFolder:
    asked: dict[str, Any] = {
        "classes": config.classes,
        "ignore": config.ignore,
        "seed": 0,  # the split must not change with the training's seed
        "targets": config.targets,
        "mapping": config.mapping,
        "val_share": config.val_share,
    }
    if config.boundaries is None or has_masks(config.data):
        return open_folder(config.data, unlabelled=config.boundaries is not None, **asked)
    divided = Path(read_finished(config.boundaries, DiscoverConfig, DiscoverPlan)[0].data)
    if divided.exists() and not divided.samefile(config.data):  # it may have been moved since
        raise FrugalsegError(
            f"{config.boundaries} has divided {divided}, not {config.data}, which has no masks: "
            "give a discovery of this folder."
        )
    return open_divided_folder(config.data, config.boundaries, **asked)


def train_segmentation(
    config: SegmentConfig,
    folder: Path,
    progress: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> None:
    """Train a run from its configuration, or go on with an unfinished one.

    Args:
        config: the configuration.
        folder: the run's folder.
        progress: show progress bars.
        say: is told, in words, what begins.

    Raises:
        FrugalsegError: what the user can mend; all that can be known is known before the folder is
            made and any training starts.
    """

    from frugalseg.training.fit import check_hardware, is_main_process

    keep_freed_memory()
    dataset = open_data(config)
    _check(config, dataset)
    check_hardware(*hardware(config))
    main = is_main_process()
    if _is_finished(folder, config, main):
        say(f"{folder} is finished already.")
        return
    seed_everything(config.seed)
    store = ImageStore(dataset.splits["train"], dataset.classes, config.size)
    check_points(dataset, config.size)
    view = config.view or default_view(config.size, _aspect(dataset))
    model = _working_model(config, dataset.classes.num_classes, view)
    shares = _read_all(store, dataset, say)
    # without masks, the store holds the regions that are to be learned: their boundaries matter
    found = config.boundaries is not None and dataset.divided_by is None and model.sampler.learns
    taught = _discovered(config, dataset, say) if found else store
    if main:
        state = open_run(folder, config, dataset.classes)
        write_environment(folder, seed=config.seed)
    folds = _train_samplers(config, model, taught, folder, progress, say)
    trust = choose_trust(config, model, dataset, say)
    model.trust = trust["trust"]
    _train_segmenter(config, model, store, shares, folds, folder, progress, say)
    if main:
        save_weights(model, folder)
        state |= {"view": list(view), "shares": shares, "config_hash": config_hash(config)}
        write_state(folder, state | trust | {"finished": True})
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _check(config: SegmentConfig, dataset: SegmentationFolder) -> None:
    """Settings whose values have limits that no type says."""
    from frugalseg.training.losses import segmentation_loss

    images = len(dataset.splits.get("train", ()))
    if not images:
        raise FrugalsegError(f"{config.data}: there are no training images.")
    if config.joint and config.folds > 1:
        raise FrugalsegError(
            "--joint teaches one sampler with every image, --folds would teach others that leave "
            "some out: give only one of them."
        )
    segmentation_loss(config.loss, [1.0])
    if config.boundaries is not None and dataset.divided_by is None:
        load_discover_run(config.boundaries)
    if config.mask_share < 1 and dataset.divided_by is not None:
        raise FrugalsegError(f"{config.data} has no masks to share out: leave out --mask-share.")
    sound = {
        "steps": config.steps >= 1,
        "sampler_steps": config.sampler_steps >= 1,
        "batch": config.batch >= 2,
        "rate": config.rate > 0,
        "sampler_rate": config.sampler_rate > 0,
        "folds": 1 <= config.folds <= images,
        "min_scale": 0 < config.min_scale <= 1,
        "trust": config.trust is None or 0 <= config.trust <= 1,
        "loss_at": config.loss_at in ("samples", "pixels"),
        "flips": config.flips in ("none", "horizontal", "both"),
        "seed": 0 <= config.seed < 2**31,
        "view": config.view is None or min(config.view) >= 16,
        "nodes": config.nodes >= 1,
        "mask_share": 0 < config.mask_share <= 1,
    }
    refuse_out_of_range(config, sound)


def _is_finished(folder: Path, config: SegmentConfig, main: bool) -> bool:
    if not main:  # the main process says what is wrong
        return (folder / "state.json").exists() and read_state(folder)["finished"] is True
    state = find_run(folder, config)
    return state is not None and bool(state.get("finished"))


def check_points(dataset: SegmentationFolder, size: Size) -> None:
    """Refuse more points than the pixels of any image.

    Raises:
        FrugalsegError: which image is smaller.
    """
    for sample in (s for some in dataset.splits.values() for s in some):
        height, width = image_size(sample.image)
        if height < size[0] or width < size[1]:
            raise FrugalsegError(
                f"{size[0]}x{size[1]} points are more than the pixels of "
                f"{sample.image} ({height}x{width}): give a smaller --size."
            )


def _aspect(dataset: SegmentationFolder) -> float:
    """Width by height of the median image."""
    samples = [s for split in ("train", "val", "unlabelled") for s in dataset.splits.get(split, ())]
    sizes = np.array([image_size(s.image) for s in samples])
    return float(np.median(sizes[:, 1] / sizes[:, 0]))


def _working_model(config: SegmentConfig, num_classes: int, view: Size) -> FrugalModel:
    """Build the networks and let them answer once: options that do not work are found at once."""
    part = "networks cannot be made"
    try:
        model = build_model(config, num_classes, view)
        if config.joint and not model.sampler.learns:
            raise FrugalsegError(f"The sampler {config.sampler} learns nothing: leave out --joint.")
        channels = 2 if isinstance(model.sampler, OracleSampler) else 3
        with torch.inference_mode():
            part = f"sampler {config.sampler} does not work"
            phi = model.eval().place(torch.full((1, channels, *view), 0.5))
            part = f"segmenter {config.segmenter} does not work"
            model.score(torch.full((1, 3, *config.size), 0.5), phi)
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError, IndexError) as error:
        raise FrugalsegError(
            f"The {part} with these options on a view of {view[0]}x{view[1]} and "
            f"{config.size[0]}x{config.size[1]} points ({' '.join(str(error).split())})."
        ) from error
    return model


def _read_all(
    store: ImageStore, dataset: SegmentationFolder, say: Callable[[str], None]
) -> list[float]:
    """Read all that will be needed, so that a broken file is found now; shares of the classes."""
    val = dataset.splits.get("val", ()) + dataset.splits.get("held", ())
    if dataset.divided_by is not None:
        said = f"the segmenter learns the regions of {dataset.divided_by}"
        say(f"{dataset.root} has no masks: {said}")
    say(f"Reading {len(store)} training images and {len(val)} to check them by")
    shares: list[float] = store.class_shares().tolist()
    if not any(shares):
        raise FrugalsegError(f"{dataset.root}: no pixel of the training masks has a class.")
    read_through(val, dataset.classes)
    return shares


def read_through(samples: Sequence[Sample], classes: ClassList) -> None:
    """Read images and masks once, so that a broken file is found before any work starts.

    Raises:
        FrugalsegError: one of them cannot be read, or holds an id outside the list.
    """

    def read(sample: Sample) -> None:
        assert sample.mask is not None
        read_image(sample.image, 8)
        read_mask(sample.mask, classes)

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(read, samples):
            pass


def _discovered(
    config: SegmentConfig, dataset: SegmentationFolder, say: Callable[[str], None]
) -> ImageStore:
    """All training images, with the boundaries that a discovery finds in them.

    Those of its finer regions, where it has them: regions of about equal size miss small things.
    """
    from frugalseg.training.discover_answers import discover_labels

    run = load_discover_run(config.boundaries or "")
    samples = dataset.splits["train"] + dataset.splits.get("unlabelled", ())
    head = "over" if "over" in run.config.order else "main"
    say(f"Finding the boundaries of {len(samples)} images by {run.folder}")
    store = ImageStore(
        samples, dataset.classes, config.size, regions=lambda path: discover_labels(run, path, head)
    )
    for i in range(len(store)):  # not by the threads that prepare batches
        store[i]
    return store


def _train_samplers(
    config: SegmentConfig,
    model: FrugalModel,
    store: ImageStore,
    folder: Path,
    progress: bool,
    say: Callable[[str], None],
) -> list[torch.nn.Module]:
    """Teach the model's sampler, and with ``folds`` one more for each part left out."""
    from frugalseg.training.fit import fit
    from frugalseg.training.tasks import SamplerTask

    if not model.sampler.learns:
        return []
    count = config.folds if config.folds > 1 else 0
    # all are made before any is trained: their random weights do not depend on what is resumed
    folds = [
        build_sampler(config.sampler, config.size, **config.sampler_options) for _ in range(count)
    ]
    for k, sampler in enumerate([model.sampler, *folds], -1):
        images = [i for i in range(len(store)) if k < 0 or i % config.folds != k]
        say("Teaching the sampler" + (f", without part {k + 1} of {config.folds}" * (k >= 0)))
        stream = _stream(config, store, model.view, 2 * config.batch, 1 + k, images, SAMPLER_SCALE)
        task = SamplerTask(sampler, stream, config.sampler_steps, config.sampler_rate, config.seed)
        name = "sampler" if k < 0 else f"sampler-{k}"
        fit(task, folder, name, *hardware(config), progress)
    return folds


def _train_segmenter(
    config: SegmentConfig,
    model: FrugalModel,
    store: ImageStore,
    shares: list[float],
    folds: list[torch.nn.Module],
    folder: Path,
    progress: bool,
    say: Callable[[str], None],
) -> None:
    from frugalseg.training.fit import fit
    from frugalseg.training.losses import segmentation_loss
    from frugalseg.training.tasks import SegmentationTask

    say("Teaching the segmenter")
    task = SegmentationTask(
        model,
        segmentation_loss(config.loss, shares),
        _stream(config, store, model.view, config.batch, 100, None),
        config.steps,
        config.rate,
        config.seed,
        folds,
        joint=config.joint,
        lattice=_lattice(config),
    )
    fit(task, folder, "segmenter", *hardware(config), progress)


def _lattice(config: SegmentConfig) -> Size | None:
    """Pixels at which the loss is taken: finer than the samples where they are closest."""
    if config.loss_at == "samples":
        return None
    return LATTICE * config.size[0], LATTICE * config.size[1]


def _stream(
    config: SegmentConfig,
    store: ImageStore,
    view: Size,
    batch: int,
    purpose: int,
    images: list[int] | None,
    min_scale: float = 0.0,
) -> Steps:
    augmentation = Augmentation(max(config.min_scale, min_scale), config.flips)
    return Steps(store, view, batch, config.seed * 1000 + purpose, augmentation, images)
