"""Train a segmentation: sampler, blend, segmenter; each part resumes where it was interrupted."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn

from frugalseg.console import log
from frugalseg.data.class_lists.classes import lack_of_classes, write_classes
from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.engine.environment import is_main_process, seed_everything
from frugalseg.engine.run_dir import RunDir, finite_answer, save_weights
from frugalseg.engine.trainer import fit
from frugalseg.errors import FrugalsegError
from frugalseg.models.samplers import build_sampler
from frugalseg.tasks.segment.blend import choose_blend
from frugalseg.tasks.segment.config import LOSSES, SegmentConfig
from frugalseg.tasks.segment.crops import Augmentation, CachedImages, StepDataset
from frugalseg.tasks.segment.data import boundaries_to_learn, read_through
from frugalseg.tasks.segment.model import FrugalModel, build_model
from frugalseg.tasks.segment.module import SamplerModule, SegmentationModule

# In use a sampler sees whole images. It learns from large crops, whose cells are about as wide.
SAMPLER_SCALE = 0.8
LATTICE = 4  # points of a loss "at pixels" between two uniform samples, in each direction


def train(
    config: SegmentConfig,
    dataset: ImageMaskFolder,
    run: RunDir,
    network: nn.Module | None = None,
) -> None:
    """Train a run, or resume an unfinished one.

    Args:
        config: resolved.
        dataset: the folder.
        run: the folder of the run.
        network: your own segmenter in place of a named one: any module from ``(N, 3, h, w)`` to
            ``(N, classes, h, w)``; a copy is trained, starting from its weights.

    Raises:
        FrugalsegError: an error that the user can fix; all that can be checked is checked before
            the folder is made and training starts.
    """
    seed_everything(config.seed)
    store = CachedImages(dataset.splits["train"], dataset.classes, config.size)
    model = _working_model(config, dataset.classes.num_classes, network)
    shares = _read_all(store, dataset)
    taught = boundaries_to_learn(dataset, store) if model.sampler.learns else store
    run.begin()
    if is_main_process():
        write_classes(dataset.classes, run.path / "classes.csv")
    folds = _train_samplers(config, run, model, taught) if model.sampler.learns else []
    choice = choose_blend(config, model, dataset)
    model.blend = choice.pop("blend")
    log.info("Teaching the segmenter")
    lattice = (LATTICE * config.size[0], LATTICE * config.size[1])
    module = SegmentationModule(
        model,
        LOSSES.find(config.loss)(shares),
        _stream(config, model, store, config.batch_size, 100),
        config.steps,
        config.learning_rate,
        config.seed,
        folds,
        joint=config.joint,
        lattice=lattice if config.loss_at == "pixels" else None,
    )
    fit(module, run, "segmenter", config)
    if is_main_process():
        save_weights(model, run.weights)
        resolved = replace(config, blend=model.blend).plain()
        run.finish({"resolved": resolved, "shares": shares, **choice})


def _working_model(
    config: SegmentConfig, num_classes: int, network: nn.Module | None
) -> FrugalModel:
    """Build the networks and run them once, so that unusable options are refused at once."""
    with _refusing_options("networks cannot be made", config):
        model = build_model(config, num_classes, network=network)
        if config.joint and not model.sampler.learns:
            raise FrugalsegError(f"The sampler {config.sampler} learns nothing: leave out --joint.")
    channels = 2 if model.needs_truth() else 3
    with torch.inference_mode():
        with _refusing_options(f"sampler {config.sampler} does not work", config):
            phi = finite_answer(
                model.eval().place(torch.full((1, channels, *model.thumbnail), 0.5))
            )
        with _refusing_options(f"segmenter {config.segmenter} does not work", config):
            model.score(torch.full((1, 3, *config.size), 0.5), phi)
    return model


# what a network raises that is built from a list for a number, a negative width and the like
_OF_OPTIONS = (
    *(TypeError, ValueError, RuntimeError, ArithmeticError, LookupError),
    *(AttributeError, AssertionError, MemoryError),
)


@contextlib.contextmanager
def _refusing_options(problem: str, config: SegmentConfig) -> Iterator[None]:
    try:
        yield
    except _OF_OPTIONS as error:
        rows, columns = config.thumbnail or (0, 0)
        raise FrugalsegError(
            f"The {problem} with these options on a thumbnail of {rows}x{columns} and "
            f"{config.size[0]}x{config.size[1]} points ({' '.join(str(error).split())})."
        ) from error


def _read_all(store: CachedImages, dataset: ImageMaskFolder) -> list[float]:
    """Read all files, so that a broken one is reported now; return the shares of the classes."""
    val = dataset.splits.get("val", ()) + dataset.splits.get("held", ())
    if dataset.pseudo_labels is not None:
        learned = f"the segmenter learns the regions of {dataset.pseudo_labels}"
        log.info(f"{dataset.root} has no masks: {learned}")
    log.info(f"Reading {len(store)} training images and {len(val)} to check them by")
    shares: list[float] = store.class_shares().tolist()
    lack = lack_of_classes(dataset.classes.names, shares, "the training masks")
    if lack:
        raise FrugalsegError(f"{dataset.root}: {lack}")
    read_through(val, dataset.classes)
    return shares


def _stream(
    config: SegmentConfig,
    model: FrugalModel,
    store: CachedImages,
    batch_size: int,
    purpose: int,
    images: list[int] | None = None,
    min_scale: float = 0.0,
) -> StepDataset:
    """Batches of crops, drawn by the seed and a number for each part of the training."""
    augmentation = Augmentation(max(config.min_scale, min_scale), config.flips)
    seed = config.seed * 1000 + purpose
    return StepDataset(store, model.thumbnail, batch_size, seed, augmentation, images)


def _train_samplers(
    config: SegmentConfig, run: RunDir, model: FrugalModel, store: CachedImages
) -> list[nn.Module]:
    """Train the model's sampler and, with ``folds``, one more for each part that is left out."""
    count = config.folds if config.folds > 1 else 0
    # all are built before any is trained: their random weights do not depend on resuming
    folds = [
        build_sampler(config.sampler, config.size, **config.sampler_options) for _ in range(count)
    ]
    for k, sampler in enumerate([model.sampler, *folds], -1):
        images = [i for i in range(len(store)) if k < 0 or i % config.folds != k]
        without = f", without part {k + 1} of {config.folds}" if k >= 0 else ""
        log.info(f"Teaching the sampler{without}")
        batch_size = 2 * config.batch_size
        stream = _stream(config, model, store, batch_size, 1 + k, images, SAMPLER_SCALE)
        rate = config.sampler_learning_rate
        module = SamplerModule(sampler, stream, config.sampler_steps, rate, config.seed)
        fit(module, run, "sampler" if k < 0 else f"sampler-{k}", config)
    return folds
