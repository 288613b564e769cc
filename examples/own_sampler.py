"""A sampler of one's own, trained beside uniform sampling and compared with it.

    python examples/own_sampler.py FOLDER [OUT] [STEPS]

FOLDER holds images and masks; ``frugalseg check FOLDER`` says what it sees.
"""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import frugalseg
from frugalseg.models import SAMPLERS
from frugalseg.sampling import equal_density_sampling


class GradientSampler(nn.Module):
    """Equal density of the thumbnail's gradient: nothing is learned.

    A sampler is a module from thumbnails to the places of the samples. One that learns has
    ``learns = True`` and a method ``loss(thumbnail, maps)``, where the maps ``(N, 2, a, b)`` hold
    the share of each cell that is a boundary of a target class, and of any class.
    """

    learns = False

    def __init__(self, size: tuple[int, int], share: float = 0.5):
        super().__init__()
        self.size, self.share = size, share

    def forward(self, thumbnail: Tensor) -> Tensor:
        """(N, 3, a, b) in [0, 1] to (N, h, w, 2): row and column of each sample in [0, 1]."""
        grey = thumbnail.mean(1, keepdim=True)
        across = F.pad(grey, (1, 1, 0, 0), mode="replicate")
        down = F.pad(grey, (0, 0, 1, 1), mode="replicate")
        across, down = across[..., 2:] - across[..., :-2], down[..., 2:, :] - down[..., :-2, :]
        gradient = torch.sqrt(across**2 + down**2)[:, 0]
        return equal_density_sampling(gradient, self.size, self.share)


def main(folder: Path, out: Path = Path("runs"), steps: int = 1000) -> dict[str, float]:
    """Train with both samplers; mean IoU of all classes on val, by sampler."""
    if "gradient-example" not in SAMPLERS:
        SAMPLERS.add("gradient-example", GradientSampler)
    scores = {}
    for sampler in ("uniform", "gradient-example"):
        run = frugalseg.train("segment", folder, out / sampler, sampler=sampler, steps=steps)
        scores[sampler] = frugalseg.evaluate(run.dir.path).scores["miou"]["all"]
    return scores


if __name__ == "__main__":
    words = sys.argv[1:]
    print(main(Path(words[0]), *map(Path, words[1:2]), *map(int, words[2:3])))
