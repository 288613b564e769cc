"""Lightning modules that train a sampler and a segmenter."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from frugalseg.engine._lightning import OptimizerLRScheduler
from frugalseg.engine.module import StepModule
from frugalseg.sampling import (
    interpolate,
    sample,
    sample_labels,
    sample_pixels,
    uniform_sampling,
)
from frugalseg.tasks.segment.crops import Batch, Crop, StepDataset
from frugalseg.tasks.segment.losses import Loss
from frugalseg.tasks.segment.model import FrugalModel


class AdamWModule(StepModule):
    """Trains by AdamW; the learning rate rises and falls in one cycle."""

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.learning_rate, total_steps=max(self.steps, 2), pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class SamplerModule(AdamWModule):
    """Trains a sampler from boundary maps of its thumbnail."""

    def __init__(
        self, sampler: nn.Module, stream: StepDataset, steps: int, learning_rate: float, seed: int
    ):
        super().__init__(stream, steps, learning_rate, seed)
        self.sampler = sampler

    def training_step(self, batch: Batch, index: int) -> Tensor:
        thumbnail = jitter_colours(batch.thumbnail.to(self.device))
        loss: Tensor = self.sampler.loss(thumbnail, batch.maps.to(self.device))  # type: ignore[operator]
        return loss


class SegmentationModule(AdamWModule):
    """Trains the segmenter of a model on images warped by its sampler.

    Args:
        model: the model; its sampler is frozen unless ``joint``.
        loss: on scores and labels.
        folds: samplers that replace the model's own, by image index (cross-fitting: each was not
            trained on the images that it samples).
        joint: train the sampler too, through the warp.
        loss_of_sampler: weight of the sampler's own loss, which is added (``joint`` only).
        lattice: rows and columns of a regular lattice to which the scores are interpolated, as in
            use, before the loss is computed there; None for a loss at the samples themselves.
    """

    def __init__(
        self,
        model: FrugalModel,
        loss: Loss,
        stream: StepDataset,
        steps: int,
        learning_rate: float,
        seed: int,
        folds: list[nn.Module] | None = None,
        joint: bool = False,
        loss_of_sampler: float = 1.0,
        lattice: tuple[int, int] | None = None,
    ):
        super().__init__(stream, steps, learning_rate, seed)
        self.model, self.loss, self.joint = model, loss, joint
        self.loss_of_sampler, self.lattice = loss_of_sampler, lattice
        self.folds = [] if folds is None else [fold.eval().requires_grad_(False) for fold in folds]
        model.sampler.requires_grad_(joint)

    def on_train_start(self) -> None:
        super().on_train_start()
        if not self.joint:
            self.model.sampler.eval()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        if self.joint:
            phi = self.model.place(batch.thumbnail.to(self.device))
            image = torch.cat([_read_crop(c, p[None]) for c, p in _pairs(batch, phi)])
        else:
            phi = self._place_frozen(batch)
            image = torch.stack(
                [sample_pixels(c.pixels, c.reduced(p)) for c, p in _pairs(batch, phi)]
            )
        image = jitter_colours(image.to(self.device))
        phi = phi.to(self.device)
        scores = self.model.score(image, phi).float()
        at = phi
        if self.lattice:
            at = uniform_sampling(self.lattice).expand(len(scores), -1, -1, -1)
            scores = interpolate(scores, phi, self.lattice)
        labels = torch.stack([sample_labels(c.labels, p) for c, p in _pairs(batch, at.cpu())])
        loss: Tensor = self.loss(scores, labels.to(self.device))
        if self.joint and self.loss_of_sampler:
            own: Callable[..., Tensor] = self.model.sampler.loss  # type: ignore[assignment]
            sampler_loss = own(batch.thumbnail.to(self.device), batch.maps.to(self.device))
            loss = loss + self.loss_of_sampler * sampler_loss
        return loss

    @torch.no_grad()
    def _place_frozen(self, batch: Batch) -> Tensor:
        thumbnail = batch.maps if self.model.needs_truth() else batch.thumbnail
        thumbnail = thumbnail.to(self.device)
        if not self.folds:
            return self.model.place(thumbnail)
        phi = torch.empty(len(thumbnail), *self.model.size, 2)
        fold_of = torch.tensor([crop.image % len(self.folds) for crop in batch.crops])
        for k, sampler in enumerate(self.folds):
            chosen = fold_of == k
            if chosen.any():
                part = thumbnail[chosen.to(self.device)]
                phi[chosen] = self.model.place(part, sampler.to(self.device))
        return phi


def jitter_colours(image: Tensor, strength: float = 0.25) -> Tensor:
    """Change brightness, contrast and saturation at random, image by image.

    Args:
        image: ``(N, 3, h, w)`` in ``[0, 1]``.
        strength: each factor lies between ``1 - strength`` and ``1 + strength``.

    Returns:
        ``(N, 3, h, w)`` in ``[0, 1]``.
    """
    factor = 1 + strength * (2 * torch.rand(3, len(image), 1, 1, 1) - 1).to(image)
    brightness, contrast, saturation = factor.unbind(0)
    grey = image.mean(1, keepdim=True)
    image = grey + saturation * (image - grey)
    middle = image.mean((1, 2, 3), keepdim=True)
    return ((middle + contrast * (image - middle)) * brightness).clamp(0, 1)


def _pairs(batch: Batch, phi: Tensor) -> Any:
    return zip(batch.crops, phi, strict=True)


def _read_crop(crop: Crop, phi: Tensor) -> Tensor:
    pixels = torch.from_numpy(crop.pixels.copy()).permute(2, 0, 1)[None].float() / 255
    image: Tensor = sample(pixels, crop.reduced(phi), antialias=True)
    return image
