"""Groups of images without labels, in a folder like torchvision's ``ImageFolder``.

    python examples/clusters.py FOLDER [OUT] [CLUSTERS] [STEPS]

FOLDER holds a sub-folder of images for each class. The classes are not learned from: they only tell
how good the groups are.
"""

import sys
from pathlib import Path

import frugalseg
from frugalseg.data import open_images


def main(
    folder: Path, out: Path = Path("runs/groups"), clusters: int = 10, steps: int | None = None
) -> float:
    """Group the images, compare the groups with the classes, and group single images.

    Returns:
        The share of images whose group is matched one to one with their class.
    """
    run = frugalseg.train("cluster", folder, out, clusters=clusters, steps=steps, labels="folders")

    # how good the groups are, by labels that the training has not seen
    result = frugalseg.evaluate(out)
    print(f"accuracy {result.scores['accuracy']:.3f}, NMI {result.scores['nmi']:.3f}")

    # new images, as files or arrays
    images = open_images(folder)
    some = [folder / name for name in images.names[:5]]
    prediction = run.predict(some)
    for path, group, answer in zip(some, prediction.labels, prediction.probabilities, strict=True):
        print(f"{path.name}: group {group}, {answer.max():.0%} sure")

    # which images to label next, so that few labels name many images
    for name, why in frugalseg.suggest(out, number=3):
        print(f"label {name}: {why}")
    return float(result.scores["accuracy"])


if __name__ == "__main__":
    words = sys.argv[1:]
    main(Path(words[0]), *map(Path, words[1:2]), *map(int, words[2:]))
