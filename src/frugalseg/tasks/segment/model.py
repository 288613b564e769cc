"""The model, from an image file to a label for each of its pixels.

decode -> thumbnail -> sampler -> warp -> segmenter -> interpolation
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frugalseg.data.class_lists.classes import ClassList, read_classes
from frugalseg.data.images import check_image, image_size, read_image
from frugalseg.engine.config import OWN, Size
from frugalseg.engine.environment import default_device
from frugalseg.engine.run_dir import RunDir, finite_answer, load_weights
from frugalseg.errors import FrugalsegError
from frugalseg.models.fixed_samplers import UniformSampler
from frugalseg.models.samplers import build_sampler
from frugalseg.models.segmenters import Segmenter, build_segmenter, geometry_channels
from frugalseg.sampling import (
    area_average,
    blend_with_uniform,
    boundary_maps,
    interpolate,
    interpolate_argmax,
    reduced_sampling,
    sample_pixels,
)
from frugalseg.tasks.segment.config import SegmentConfig

# Pixels kept between uniform samples when decoding. Adaptive samples are closer in places.
OVERSAMPLE = {"uniform": 2, "adaptive": 8}
Stage = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Prediction:
    """The answer for one image and its intermediate results, all on the CPU.

    Attributes:
        labels: ``(H, W)`` uint8 class indices at the image's own size.
        phi: ``(h, w, 2)``, the places of the samples.
        warped: ``(3, h, w)`` in ``[0, 1]``, the small image that the segmenter saw.
        scores: ``(C, h, w)``.
    """

    labels: NDArray[np.uint8]
    phi: Tensor
    warped: Tensor
    scores: Tensor


@dataclass(frozen=True)
class ScoredImage:
    """The scores at the samples of one image, from which any part of the answer is interpolated.

    Attributes:
        size: of the image, ``(H, W)``.
        pixels: ``(H / reduce, W / reduce, 3)`` uint8, as they were decoded.
        phi: ``(1, h, w, 2)``, the places of the samples, on the CPU.
        warped: ``(3, h, w)`` in ``[0, 1]``, the small image that the segmenter saw, on the CPU.
        scores: ``(1, C, h, w)`` float32, on the model's device.
    """

    size: Size
    pixels: NDArray[np.uint8]
    phi: Tensor
    warped: Tensor
    scores: Tensor

    @torch.inference_mode()
    def labels(self, size: Size, rows: Size | None = None) -> NDArray[np.uint8]:
        """Class indices at a size, whose corner pixels are those of the image.

        Args:
            size: ``(H', W')``.
            rows: the first row and the one behind the last; by default all.

        Returns:
            ``(H' or number of rows, W')``.
        """
        labels = interpolate_argmax(self.scores, self.phi.to(self.scores.device), size, rows)[0]
        return labels.cpu().numpy().astype(np.uint8, copy=False)

    @torch.inference_mode()
    def probabilities(self, size: Size, rows: Size | None = None) -> Tensor:
        """Softmax of the interpolated scores.

        Args:
            size, rows: as for :meth:`labels`.

        Returns:
            ``(C, H' or number of rows, W')`` float32, on the CPU.
        """
        scores = interpolate(self.scores, self.phi.to(self.scores.device), size, rows)[0]
        return scores.softmax(0).cpu()


class FrugalModel(nn.Module):
    """A sampler and a segmenter that work together.

    Args:
        sampler: ``(N, 3, a, b) -> (N, h, w, 2)``.
        segmenter: ``(N, 3, h, w) -> (N, C, h, w)``.
        thumbnail: size of the sampler's thumbnail ``(a, b)``.
        size: number of samples ``(h, w)``.
        blend: how far the sampler is followed, 0 to 1; the rest is uniform sampling.
        oversample: pixels kept between uniform samples when decoding, see :func:`decode_scale`.
    """

    def __init__(
        self,
        sampler: nn.Module,
        segmenter: Segmenter,
        thumbnail: Size,
        size: Size,
        blend: float = 1.0,
        oversample: int = 8,
    ):
        super().__init__()
        self.sampler, self.segmenter = sampler, segmenter
        self.thumbnail, self.size = thumbnail, size
        self.blend, self.oversample = blend, oversample

    @property
    def device(self) -> torch.device:
        return next(self.segmenter.parameters()).device

    def place(self, thumbnail: Tensor, sampler: nn.Module | None = None) -> Tensor:
        """The places of the samples, on the CPU: ``(N, h, w, 2)``."""
        sampler = sampler or self.sampler
        with torch.autocast(thumbnail.device.type, enabled=False):  # places need full precision
            phi: Tensor = sampler(thumbnail.float())
        if self.blend < 1:
            phi = blend_with_uniform(phi, self.blend)
        return phi.cpu()

    def score(self, image: Tensor, phi: Tensor) -> Tensor:
        """Class scores ``(N, C, h, w)`` of warped images ``(N, 3, h, w)``."""
        geometry = geometry_channels(phi).to(image) if self.segmenter.extra_channels else None
        scores: Tensor = self.segmenter(image, geometry)
        return scores

    def needs_truth(self) -> bool:
        """Whether the sampler reads true boundaries instead of the image (``oracle``)."""
        return getattr(self.sampler, "needs_truth", False)

    def predict(
        self,
        image: Path | str | NDArray[np.uint8],
        truth: NDArray[np.uint8] | None = None,
        targets: list[int] | None = None,
        stage: Stage | None = None,
    ) -> Prediction:
        """Segment one image.

        Args:
            image: a file, or ``(H, W, 3)`` uint8 pixels.
            truth: ``(H, W)`` class indices, for samplers that need them (``oracle``).
            targets: classes whose boundaries such a sampler samples.
            stage: a context manager by stage name, such as a ``StageTimer``.

        Returns:
            The labels at the image's own size, and the intermediate results.

        Raises:
            FrugalsegError: the file cannot be read, or the array is not ``(H, W, 3)`` uint8.
            ValueError: the sampler needs the truth, and it is missing.
        """
        stage = stage or (lambda name: nullcontext())
        scored = self.score_image(image, truth, targets, stage)
        with stage("interpolation"):
            labels = scored.labels(scored.size)
        return Prediction(labels, scored.phi[0], scored.warped, scored.scores[0].cpu())

    @torch.inference_mode()
    def score_image(
        self,
        image: Path | str | NDArray[np.uint8],
        truth: NDArray[np.uint8] | None = None,
        targets: list[int] | None = None,
        stage: Stage = lambda name: nullcontext(),
    ) -> ScoredImage:
        """All of :meth:`predict`, with its arguments and errors, but the interpolation."""
        was_training = self.training
        self.eval()
        with stage("decode"):
            pixels, full, reduce = self._decode(image)
            covered = (full[0] / reduce, full[1] / reduce)
        with stage("thumbnail"):
            if self.needs_truth():
                if truth is None:
                    raise ValueError("the oracle sampler needs the true labels")
                thumbnail = boundary_maps(
                    torch.from_numpy(truth)[None], self.thumbnail, targets or None
                )
            elif isinstance(self.sampler, UniformSampler):
                thumbnail = torch.empty(1, 3, 1, 1)  # not used
            else:
                thumbnail = area_average(pixels, self.thumbnail, covered)[None]
            thumbnail = thumbnail.to(self.device)
        with stage("sampler"):
            phi = self.place(thumbnail)
        with stage("warp"):
            warped = sample_pixels(pixels, reduced_sampling(phi[0], full, reduce), covered)
        with stage("segmenter"):
            scores = self.score(warped[None].to(self.device), phi.to(self.device))
            scores = finite_answer(scores.float())
        self.train(was_training)
        return ScoredImage(full, pixels, phi, warped, scores)

    def _decode(self, image: Path | str | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Size, int]:
        """Pixels, the full size, and how many times smaller the pixels are."""
        if isinstance(image, np.ndarray):
            return check_image(image), (image.shape[0], image.shape[1]), 1
        full = image_size(image)
        reduce = decode_scale(full, self.size, self.oversample)
        return read_image(image, reduce), full, reduce


def decode_scale(image: Size, size: Size, oversample: int) -> int:
    """The factor by which an image may be reduced while decoding: 1, 2, 4 or 8.

    Args:
        image: its size ``(H, W)``.
        size: number of samples ``(h, w)``.
        oversample: minimum of pixels between uniform samples after the reduction.
    """
    spacing = min(image[0] / size[0], image[1] / size[1])
    return next(r for r in (8, 4, 2, 1) if r == 1 or spacing / r >= oversample)


@dataclass(frozen=True)
class Run:
    """A finished segmentation run, loaded.

    Attributes:
        dir: its folder.
        asked: its settings, not resolved.
        config: its resolved settings.
        classes: its classes.
        state: the contents of state.json.
        model: in evaluation mode, on the GPU if there is one.
    """

    dir: RunDir
    asked: SegmentConfig
    config: SegmentConfig
    classes: ClassList
    state: dict[str, Any]
    model: FrugalModel

    def predict(self, image: Path | str | NDArray[np.uint8]) -> Prediction:
        """Label every pixel of an image: :meth:`FrugalModel.predict`."""
        return self.model.predict(image)


def load_run(folder: Path | str, network: nn.Module | None = None) -> Run:
    """Load a finished run; its model is on the GPU if there is one.

    Args:
        folder: the run's folder.
        network: the segmenter, if it was handed in from Python to train the run; a copy gets the
            weights of the run.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, its weights do not fit, or its
            segmenter must be handed in.
    """
    run = RunDir(folder)
    asked, state = run.finished(SegmentConfig)
    config = SegmentConfig.from_values(state["resolved"], f"{run.path / 'state.json'}")
    if not (run.path / "classes.csv").is_file():
        raise FrugalsegError(f"{run} is no complete run: classes.csv is missing.")
    classes = read_classes(run.path / "classes.csv")
    model = build_model(config, classes.num_classes, pretrained=False, network=network)
    load_weights(model, run.weights, state["weights"])
    return Run(run, asked, config, classes, state, model.to(default_device()).eval())


def build_model(
    config: SegmentConfig,
    num_classes: int,
    pretrained: bool | None = None,
    network: nn.Module | None = None,
) -> FrugalModel:
    """The untrained model of a resolved configuration.

    Args:
        config: the configuration.
        num_classes: number of classes.
        pretrained: replaces the setting of the configuration.
        network: the segmenter, if it is handed in; a copy of it is used.

    Raises:
        FrugalsegError: there is no such segmenter, or it must be handed in.
    """
    if (config.segmenter == OWN) == (network is None):
        raise FrugalsegError(
            "The run's segmenter was handed in from Python: hand it in again, as the argument "
            "network."
            if network is None
            else f"The run's segmenter is {config.segmenter}: none can be handed in."
        )
    segmenter = build_segmenter(
        config.segmenter if network is None else copy.deepcopy(network).cpu(),
        num_classes,
        config.encoder,
        config.pretrained if pretrained is None else pretrained,
        extra_channels=4 if config.coordinates else 0,
        **config.segmenter_options,
    )
    sampler = build_sampler(config.sampler, config.size, **config.sampler_options)
    assert config.thumbnail is not None, "the configuration is not resolved"
    oversample = OVERSAMPLE["uniform" if config.sampler == "uniform" else "adaptive"]
    blend = 1.0 if config.blend is None else config.blend
    return FrugalModel(sampler, segmenter, config.thumbnail, config.size, blend, oversample)
