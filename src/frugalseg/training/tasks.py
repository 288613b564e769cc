"""Lightning modules: one that teaches a sampler, one that teaches a segmenter."""

from collections.abc import Callable
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from frugalseg.pipeline import FrugalModel
from frugalseg.sampling import (
    interpolate,
    sample,
    sample_labels,
    sample_pixels,
    uniform_sampling,
)
from frugalseg.training.examples import Batch, Example, Steps
from frugalseg.training.losses import Loss


class StepTask(lightning.LightningModule):
    """A training of a given number of steps, in one epoch.

    Each step draws its random numbers anew from the seed and its own number, and the stream begins
    where the training does, so an interrupted training ends with the same weights.

    Args:
        stream: the batches.
        steps: total number of steps.
        rate: highest learning rate (AdamW, one cycle).
        seed: seed of what is drawn in a step.
    """

    strategy = "auto"  # of Lightning, where several processes train together

    def __init__(self, stream: Steps, steps: int, rate: float, seed: int):
        super().__init__()
        self.stream, self.steps, self.rate, self.seed = stream, steps, rate, seed

    def train_dataloader(self) -> DataLoader[Batch]:
        rank, world = self.global_rank, self.trainer.world_size
        part = self.stream.between(self.global_step, self.steps, rank, world)
        return DataLoader(part, batch_size=None)

    def on_train_start(self) -> None:
        self.train()  # Lightning leaves modules in the mode that it finds them in

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        torch.manual_seed((self.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank)

    def measures(self) -> dict[str, Any]:
        """Numbers on the state of the training, for its line of each 100 steps."""
        return {}

    def transfer_batch_to_device(self, batch: Batch, device: Any, dataloader_idx: int) -> Batch:
        return batch  # pixels stay where they are: only what is read of them travels

    def configure_optimizers(self) -> OptimizerLRScheduler:
        parameters = [p for p in self.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.rate, total_steps=max(self.steps, 2), pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class SamplerTask(StepTask):
    """Teaches a sampler from boundary maps of the view."""

    def __init__(self, sampler: nn.Module, stream: Steps, steps: int, rate: float, seed: int):
        super().__init__(stream, steps, rate, seed)
        self.sampler = sampler

    def training_step(self, batch: Batch, index: int) -> Tensor:
        view = jitter_colours(batch.view.to(self.device))
        loss: Tensor = self.sampler.loss(view, batch.maps.to(self.device))  # type: ignore[operator]
        return loss


class SegmentationTask(StepTask):
    """Teaches the segmenter of a model on what its sampler shows.

    Args:
        model: the model; its sampler is frozen unless ``joint``.
        loss: on scores and labels at the samples.
        folds: samplers to use for single images in place of the model's own, by image index
            (cross-fitting: one that was not taught with that image).
        joint: teach the sampler too, through the warp.
        loss_of_sampler: weight of the sampler's own loss beside it (``joint`` only).
        lattice: where the loss is taken: on a regular lattice of this many pixels of the image,
            to which the scores are interpolated as in use; None for the samples themselves.
    """

    def __init__(
        self,
        model: FrugalModel,
        loss: Loss,
        stream: Steps,
        steps: int,
        rate: float,
        seed: int,
        folds: list[nn.Module] | None = None,
        joint: bool = False,
        loss_of_sampler: float = 1.0,
        lattice: tuple[int, int] | None = None,
    ):
        super().__init__(stream, steps, rate, seed)
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
            phi = self.model.place(batch.view.to(self.device))
            image = torch.cat([_read_image(e, p[None]) for e, p in _pairs(batch, phi)])
        else:
            phi = self._place_frozen(batch)
            image = torch.stack([sample_pixels(e.pixels, p) for e, p in _pairs(batch, phi)])
        image = jitter_colours(image.to(self.device))
        phi = phi.to(self.device)
        scores = self.model.score(image, phi).float()
        at = phi
        if self.lattice:
            at = uniform_sampling(self.lattice).expand(len(scores), -1, -1, -1)
            scores = interpolate(scores, phi, self.lattice)
        labels = torch.stack([sample_labels(e.labels, p) for e, p in _pairs(batch, at.cpu())])
        loss: Tensor = self.loss(scores, labels.to(self.device))
        if self.joint and self.loss_of_sampler:
            own: Callable[..., Tensor] = self.model.sampler.loss  # type: ignore[assignment]
            taught = own(batch.view.to(self.device), batch.maps.to(self.device))
            loss = loss + self.loss_of_sampler * taught
        return loss

    @torch.no_grad()
    def _place_frozen(self, batch: Batch) -> Tensor:
        view = batch.maps if self.model.needs_truth() else batch.view
        view = view.to(self.device)
        if not self.folds:
            return self.model.place(view)
        phi = torch.empty(len(view), *self.model.size, 2)
        fold_of = torch.tensor([e.image % len(self.folds) for e in batch.examples])
        for k, sampler in enumerate(self.folds):
            chosen = fold_of == k
            if bool(chosen.any()):
                phi[chosen] = self.model.place(
                    view[chosen.to(view.device)], sampler.to(view.device)
                )
        return phi


def jitter_colours(image: Tensor, strength: float = 0.25) -> Tensor:
    """Random brightness, contrast and saturation, one draw an image.

    Args:
        image: ``(N, 3, h, w)`` in ``[0, 1]``.
        strength: each factor lies within ``1 - strength`` and ``1 + strength``.

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
    return zip(batch.examples, phi, strict=True)


def _read_image(example: Example, phi: Tensor) -> Tensor:
    pixels = torch.from_numpy(example.pixels.copy()).permute(2, 0, 1)[None].float() / 255
    image: Tensor = sample(pixels, phi, antialias=True)
    return image
