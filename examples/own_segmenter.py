"""A segmenter of one's own: trained on adaptive samples, saved, loaded, and asked.

    python examples/own_segmenter.py FOLDER [OUT] [STEPS]

FOLDER holds images and masks; ``frugalseg check FOLDER`` says what it sees.
"""

import sys
from pathlib import Path

from torch import Tensor, nn

import frugalseg
from frugalseg.data import open_folder


class SmallNet(nn.Module):
    """Any module from images ``(N, 3, h, w)`` to scores ``(N, classes, h, w)`` will do."""

    def __init__(self, classes: int, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=2, dilation=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, classes, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images)
        return scores


def main(folder: Path, out: Path = Path("runs/own"), steps: int = 1000) -> tuple[int, ...]:
    """Train, load again, and segment the first image of val; the size of its labels."""
    data = open_folder(folder)
    network = SmallNet(data.classes.num_classes)
    # 64x64 samples of each image, placed where the classes meet; a copy of the network is trained
    settings = {"size": (64, 64), "steps": steps, "sampler_steps": steps}
    frugalseg.train("segment", folder, out, network, **settings)

    # the run holds the weights; the network itself is handed in again
    run = frugalseg.load(out, SmallNet(data.classes.num_classes))
    image = data.splits["val"][0].image
    prediction = run.predict(image)
    for index, name in enumerate(data.classes.names):
        print(f"{name:20s} {(prediction.labels == index).mean():.1%} of {image.name}")
    return tuple(prediction.labels.shape)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *map(Path, words[1:2]), *map(int, words[2:3]))
