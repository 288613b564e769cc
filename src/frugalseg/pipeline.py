"""The whole way from an image file to a label for each of its pixels.

decode -> view -> sampler -> warp -> segmenter -> interpolation
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frugalseg.data.images import image_size, read_image
from frugalseg.data.pictures import check_picture
from frugalseg.networks.samplers import OracleSampler, UniformSampler
from frugalseg.networks.segmenters import Segmenter, geometry_channels
from frugalseg.sampling import (
    area_average,
    blend_with_uniform,
    boundary_maps,
    interpolate_argmax,
    sample_pixels,
)

Size = tuple[int, int]
# Pixels kept between uniform samples when decoding. Adaptive samples come closer than uniform ones.
OVERSAMPLE = {"uniform": 2, "adaptive": 8}
Stage = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Prediction:
    """The answer for one image, and what was seen on the way, all on the CPU.

    Attributes:
        labels: ``(H, W)`` uint8 class indices at the image's own size.
        phi: ``(h, w, 2)``, where the samples were read.
        warped: ``(3, h, w)`` in ``[0, 1]``, the small image that the segmenter saw.
        scores: ``(C, h, w)``.
    """

    labels: NDArray[np.uint8]
    phi: Tensor
    warped: Tensor
    scores: Tensor


class FrugalModel(nn.Module):
    """A sampler and a segmenter that work together.

    Args:
        sampler: ``(N, 3, a, b) -> (N, h, w, 2)``.
        segmenter: ``(N, 3, h, w) -> (N, C, h, w)``.
        view: size of the sampler's view ``(a, b)``.
        size: number of samples ``(h, w)``.
        trust: how far the sampler is followed; the rest is uniform sampling.
        oversample: pixels kept between uniform samples when decoding, see :func:`decode_scale`.
    """

    def __init__(
        self,
        sampler: nn.Module,
        segmenter: Segmenter,
        view: Size,
        size: Size,
        trust: float = 1.0,
        oversample: int = 8,
    ):
        super().__init__()
        self.sampler, self.segmenter = sampler, segmenter
        self.view, self.size = view, size
        self.trust, self.oversample = trust, oversample

    @property
    def device(self) -> torch.device:
        return next(self.segmenter.parameters()).device

    def place(self, view: Tensor, sampler: nn.Module | None = None) -> Tensor:
        """Where the samples go, on the CPU: ``(N, h, w, 2)``."""
        phi: Tensor = (sampler or self.sampler)(view)
        if self.trust < 1:
            phi = blend_with_uniform(phi, self.trust)
        return phi.cpu()

    def score(self, image: Tensor, phi: Tensor) -> Tensor:
        """Class scores of warped images ``(N, C, h, w)``."""
        told = geometry_channels(phi).to(image) if self.segmenter.extra_channels else None
        scores: Tensor = self.segmenter(image, told)
        return scores

    def needs_truth(self) -> bool:
        """Whether the sampler reads true boundaries instead of the image."""
        return isinstance(self.sampler, OracleSampler)

    @torch.inference_mode()
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
            targets: classes whose boundaries such a sampler looks for.
            stage: a context manager by stage name, such as a ``StageTimer``.

        Returns:
            The labels at the image's own size, and what led to them.

        Raises:
            FrugalsegError: the file cannot be read, or the array is no (H, W, 3) of uint8.
            ValueError: the sampler needs the truth, which is not given.
        """
        stage = stage or (lambda name: nullcontext())
        was_training = self.training
        self.eval()
        with stage("decode"):
            pixels, full = self._decode(image)
        with stage("view"):
            if self.needs_truth():
                if truth is None:
                    raise ValueError("the oracle sampler needs the true labels")
                view = boundary_maps(torch.from_numpy(truth)[None], self.view, targets or None)
            elif isinstance(self.sampler, UniformSampler):
                view = torch.empty(1, 3, 1, 1)  # nothing looks at it
            else:
                view = area_average(pixels, self.view)[None]
            view = view.to(self.device)
        with stage("sampler"):
            phi = self.place(view)
        with stage("warp"):
            warped = sample_pixels(pixels, phi[0])
        with stage("segmenter"):
            scores = self.score(warped[None].to(self.device), phi.to(self.device))
        with stage("interpolation"):
            labels = interpolate_argmax(scores.float(), phi.to(scores.device), full)[0]
            answer = labels.cpu().numpy().astype(np.uint8, copy=False)
        self.train(was_training)
        return Prediction(answer, phi[0], warped, scores[0].cpu())

    def _decode(self, image: Path | str | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Size]:
        if isinstance(image, np.ndarray):
            return check_picture(image), (image.shape[0], image.shape[1])
        full = image_size(image)
        return read_image(image, decode_scale(full, self.size, self.oversample)), full


def decode_scale(image: Size, size: Size, oversample: int) -> int:
    """How far an image may be reduced while decoding: 1, 2, 4 or 8.

    Args:
        image: its size ``(H, W)``.
        size: number of samples ``(h, w)``.
        oversample: pixels left between uniform samples, at least.
    """
    spacing = min(image[0] / size[0], image[1] / size[1])
    return next(r for r in (8, 4, 2, 1) if r == 1 or spacing / r >= oversample)
