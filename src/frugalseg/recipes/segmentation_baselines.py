"""Groups of pixels to be beaten: k-means on colours, network features and segments of each image.

Masks only score. Clusters are found on one split and answered on another; images are worked on at a
small height, answers are enlarged to the masks.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from frugalseg.data.folder import SegmentationFolder
from frugalseg.data.images import read_image
from frugalseg.data.layout import Sample
from frugalseg.data.masks import read_mask
from frugalseg.errors import FrugalsegError
from frugalseg.evaluation.regions import (
    count_regions,
    read_region_result,
    region_result,
    region_scores,
    region_table,
    write_region_result,
)
from frugalseg.files import write_whole
from frugalseg.recipes.clustering import Say

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
ONE = "one-cluster"
WEIGHTS = (0.0, 0.5, 1.0)  # of the place against the colour
STAGES = (2, 3)  # of the network: strides 8 and 16
_POINTS = 500  # pixels of an image that clusters are found on
_SETTLING = 16  # images that settle the batch norm of an untrained network


@dataclass(frozen=True)
class Described:
    """What is grouped of an image: its pixels in order, or the segments of `regions`.

    Attributes:
        features: (n, d) colours or features.
        places: (n, 2) row and column in [0, 1].
        sizes: (n) pixels of each.
        shape: height and width of the image worked on.
        regions: (h, w) numbers of segments, None where pixels are grouped.
    """

    features: Floats
    places: Floats
    sizes: NDArray[np.int64]
    shape: tuple[int, int]
    regions: NDArray[np.int64] | None = None


Describe = Callable[[Pixels], Described]


@dataclass(frozen=True)
class Method:
    """A way of grouping: `build` makes the description for a seed, from images to settle on.

    `weights` are those of the place; `keep` says that descriptions do not depend on the seed and
    are worth keeping.
    """

    build: Callable[[int, Sequence[Pixels]], Describe]
    weights: tuple[float, ...] = (0.0,)
    keep: bool = False


def run_segmentation_baselines(
    data: SegmentationFolder,
    out: Path,
    fit: str = "train",
    score: str = "val",
    height: int = 128,
    seeds: Sequence[int] = (0, 1, 2),
    methods: Sequence[str] = (),
    say: Say = lambda text: None,
) -> str:
    """Group pixels in every way into as many groups as there are classes, and score them.

    Args:
        data: a folder with masks.
        out: folder of the result files, ``METHOD[-wWEIGHT]-HEIGHT-SEED.json``, and of ``table.md``;
            what is there already is kept.
        fit: the split that clusters are found on, without its masks.
        score: the split that is answered and scored at the size of its masks.
        height: of the images worked on, in pixels.
        seeds: of each method.
        methods: some of ``METHODS`` and "one-cluster"; by default all.
        say: is told, in words, what begins.

    Returns:
        The table of all results there.

    Raises:
        FrugalsegError: no such split or method, an option out of range, or a broken file.
    """
    names = [*METHODS, ONE]
    _check(data, (fit, score), methods, names, height)
    work = _Work(data, fit, score, height, out, say)
    for name in methods or names:
        if name == ONE:
            work.write(ONE, 0, work.one_group)
            continue
        method, kept = METHODS[name], dict[int, Described]()
        for seed in seeds:
            for weight in method.weights:
                place = f"-w{weight:g}" if len(method.weights) > 1 else ""
                run = f"{name}{place}-{height}"
                work.write(run, seed, partial(work.group, method, weight, seed, kept))
    table = region_table([read_region_result(path) for path in sorted(out.glob("*.json"))])
    write_whole(table.encode(), out / "table.md")
    return table


def _check(
    data: SegmentationFolder,
    splits: Sequence[str],
    methods: Sequence[str],
    names: Sequence[str],
    height: int,
) -> None:
    for split in splits:
        if not data.splits.get(split):
            raise FrugalsegError(
                f"{data.root} has no images in {split!r}; it has {', '.join(data.splits)}."
            )
    if unknown := sorted(set(methods) - set(names)):
        raise FrugalsegError(f"No method {unknown[0]!r}: there are {', '.join(names)}.")
    if height < 16:
        raise FrugalsegError(f"height={height} is out of range: at least 16 pixels are needed.")


@dataclass
class _Work:
    """What all methods share; images are read when the first result is to be made."""

    data: SegmentationFolder
    fit: str
    score: str
    height: int
    out: Path
    say: Say
    store: dict[str, list[Pixels]] = field(default_factory=dict)

    @property
    def clusters(self) -> int:
        return self.data.classes.num_classes

    def images(self, split: str) -> list[Pixels]:
        if split not in self.store:
            self.store[split] = [_small(sample, self.height) for sample in self.data.splits[split]]
        return self.store[split]

    def one_group(self) -> Iterator[NDArray[np.int64]]:
        """Everything in one group, for each image."""
        return (np.zeros((1, 1), np.int64) for _ in self.data.splits[self.score])

    def group(
        self, method: Method, weight: float, seed: int, kept: dict[int, Described]
    ) -> Iterator[NDArray[np.int64]]:
        """Find clusters on one split and answer the other: (h, w) groups of each image."""
        describe = method.build(seed, self.images(self.fit))

        def described(images: Sequence[Pixels]) -> Iterator[Described]:
            for image in images:
                if method.keep and id(image) not in kept:
                    kept[id(image)] = describe(image)
                yield kept[id(image)] if method.keep else describe(image)

        answer = _k_means(described(self.images(self.fit)), weight, self.clusters, seed)
        for one in described(self.images(self.score)):
            groups = answer(one)
            yield groups.reshape(one.shape) if one.regions is None else groups[one.regions]

    def write(
        self, run: str, seed: int, answers: Callable[[], Iterable[NDArray[np.int64]]]
    ) -> None:
        """Write the result of a grouping unless it is there."""
        path = self.out / f"{run}-{seed}.json"
        if path.exists():
            return
        self.say(f"== {path.stem}")
        samples, classes = self.data.splits[self.score], self.data.classes
        counts = np.zeros((self.clusters, self.clusters), np.int64)
        for sample, groups in zip(samples, answers(), strict=True):
            assert sample.mask is not None
            truth = read_mask(sample.mask, classes)
            counts += count_regions(groups, truth, self.clusters, self.clusters)
        if not counts.any():
            raise FrugalsegError(f"{self.data.root}: no pixel in {self.score!r} has a class.")
        what: dict[str, Any] = {"run": run, "data": self.data.root.name, "split": self.score}
        what |= {"images": len(samples), "fit": self.fit, "height": self.height}
        what |= {"seed": seed, "clusters": self.clusters}
        write_region_result(region_result(what, region_scores(counts, classes.names)), path)


def _small(sample: Sample, height: int) -> Pixels:
    """An image at the working height, its sides in proportion."""
    image = Image.fromarray(read_image(sample.image))
    width = max(16, round(image.width * height / image.height))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def _k_means(
    described: Iterable[Described], weight: float, clusters: int, seed: int
) -> Callable[[Described], NDArray[np.int64]]:
    """Clusters of standardised features, and of places times a weight."""
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(seed)
    features, places, sizes = [], [], []
    for one in described:
        chosen = np.arange(len(one.features))
        if one.regions is None and len(chosen) > _POINTS:
            chosen = rng.choice(chosen, _POINTS, replace=False)
        features.append(one.features[chosen])
        places.append(one.places[chosen])
        sizes.append(one.sizes[chosen])
    scales = [_scale(np.concatenate(parts)) for parts in (features, places)]

    def points(some_features: Floats, some_places: Floats) -> Floats:
        colour, place = (
            (values - mean) / std
            for values, (mean, std) in zip((some_features, some_places), scales, strict=True)
        )
        return np.concatenate([colour, np.float32(weight) * place], 1)

    found = MiniBatchKMeans(clusters, n_init=5, batch_size=4096, random_state=seed)
    found.fit(
        points(np.concatenate(features), np.concatenate(places)),
        sample_weight=np.concatenate(sizes).astype(np.float32),
    )

    def answer(one: Described) -> NDArray[np.int64]:
        return np.asarray(found.predict(points(one.features, one.places)), np.int64)

    return answer


def _scale(values: Floats) -> tuple[Floats, Floats]:
    std = values.std(0)
    return values.mean(0), np.asarray(np.where(std > 0, std, 1), np.float32)


def _grid(shape: tuple[int, int]) -> Floats:
    """(h * w, 2) row and column of each pixel in [0, 1]."""
    rows, columns = np.indices(shape, dtype=np.float32)
    last = np.maximum(np.array(shape, np.float32) - 1, 1).astype(np.float32)
    places: Floats = np.stack([rows.ravel(), columns.ravel()], 1) / last
    return places


def _colours(image: Pixels) -> Described:
    shape = image.shape[0], image.shape[1]
    colours: Floats = image.reshape(-1, 3).astype(np.float32) / np.float32(255)
    return Described(colours, _grid(shape), np.ones(len(colours), np.int64), shape)


def _segments(cut: Callable[[Pixels], NDArray[Any]], image: Pixels) -> Described:
    """Mean colour and place of each segment."""
    _, flat = np.unique(cut(image), return_inverse=True)
    flat = flat.ravel()
    pixels = _colours(image)
    sizes = np.bincount(flat)
    means = [
        np.stack([np.bincount(flat, column) for column in values.T], 1) / sizes[:, None]
        for values in (pixels.features, pixels.places)
    ]
    colour, place = (mean.astype(np.float32) for mean in means)
    return Described(colour, place, sizes, pixels.shape, flat.reshape(pixels.shape))


def _segmentation() -> Any:
    try:
        from skimage import segmentation
    except ModuleNotFoundError as error:
        raise FrugalsegError(
            "scikit-image is not installed: run 'pip install -c constraints.txt scikit-image', or "
            "leave out the methods felzenszwalb-k-means and slic-k-means."
        ) from error
    return segmentation


def _felzenszwalb(seed: int, images: Sequence[Pixels]) -> Describe:
    cut = _segmentation().felzenszwalb
    return lambda image: _segments(lambda i: cut(i, scale=100, sigma=0.5, min_size=20), image)


def _slic(seed: int, images: Sequence[Pixels]) -> Describe:
    cut = _segmentation().slic
    return lambda image: _segments(lambda i: cut(i, n_segments=200, compactness=10), image)


def _network(pretrained: bool) -> Callable[[int, Sequence[Pixels]], Describe]:
    """Features of the default encoder at strides 8 and 16, enlarged to the image."""

    def build(seed: int, images: Sequence[Pixels]) -> Describe:
        from frugalseg._torchvision import mend_torchvision
        from frugalseg.networks.pretrained import (
            DEFAULT_ENCODER,
            encoder_mean_std,
            load_efficientnet_lite0,
        )
        from frugalseg.networks.trunks import settle_batch_norm

        mend_torchvision()
        import timm

        torch.manual_seed(seed)
        network = timm.create_model(DEFAULT_ENCODER, features_only=True, out_indices=STAGES)
        mean, std = (torch.tensor(v)[:, None, None] for v in encoder_mean_std(DEFAULT_ENCODER))

        def enter(image: Pixels) -> torch.Tensor:
            colours = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
            return ((colours.float() / 255 - mean) / std)[None]

        if pretrained:
            load_efficientnet_lite0(network)
        else:
            views = map(enter, images[:_SETTLING])
            settle_batch_norm(network, (torch.cat([view, view.flip(-1)]) for view in views))
        network.eval()

        def describe(image: Pixels) -> Described:
            plain = _colours(image)
            with torch.inference_mode():
                maps = [
                    torch.nn.functional.interpolate(one, plain.shape, mode="bilinear")
                    for one in network(enter(image))
                ]
            features = torch.cat(maps, 1)[0].flatten(1).T.contiguous().numpy()
            return Described(features, plain.places, plain.sizes, plain.shape)

        return describe

    return build


METHODS: dict[str, Method] = {
    "k-means-colour": Method(lambda seed, images: _colours, WEIGHTS),
    "felzenszwalb-k-means": Method(_felzenszwalb, WEIGHTS, keep=True),
    "slic-k-means": Method(_slic, WEIGHTS, keep=True),
    "k-means-pretrained": Method(_network(True)),
    "k-means-random": Method(_network(False)),
}
