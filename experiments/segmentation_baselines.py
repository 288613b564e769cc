"""Groups of pixels to be beaten: k-means on colours, network features and segments of each image.

Masks only score. Clusters are found on one split and answered on another; images are worked on at a
small height, answers are enlarged to the masks.
"""

import dataclasses
import itertools
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from experiments.published import Numbers
from experiments.results import kind_of, make_once
from experiments.summary import write_summary
from frugalseg.data.image_mask_folder import ImageMaskFolder, open_folder
from frugalseg.data.images import read_image
from frugalseg.data.layouts.samples import Sample
from frugalseg.data.masks import read_mask
from frugalseg.engine.config import Names, TaskConfig
from frugalseg.engine.results import Result, make_result
from frugalseg.errors import FrugalsegError
from frugalseg.tasks.discover.evaluate import count_regions, region_scores

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
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

    Without it everything is one group. `weights` are those of the place, `seeds` the number of
    seeds that give other groups (None: all); `keep` says that descriptions do not depend on the
    seed and are worth keeping.
    """

    build: Callable[[int, Sequence[Pixels]], Describe] | None
    weights: tuple[float, ...] = (0.0,)
    keep: bool = False
    seeds: int | None = None


@dataclass(frozen=True)
class RegionBaseline(TaskConfig):
    """A grouping of the pixels of a folder's images.

    Attributes:
        data, mapping, ignore: the images and masks, as of :class:`SegmentConfig`.
        split: whose images clusters are found on, without their masks.
        method: one of ``METHODS``.
        weight: of a pixel's place against its colour.
        height: of the images worked on, in pixels.
        seed: of the method.
    """

    task: typing.ClassVar[str] = "discover-baseline"
    data: str = ""
    mapping: str | None = None
    ignore: Names = ()
    split: str = "train"
    method: str = ""
    weight: float = 0.0
    height: int = 128
    seed: int = 0


def segmentation_baselines(
    data: Path,
    /,
    *,
    out: Path,
    mapping: str | None = None,
    ignore: Names = (),
    fit: str = "train",
    score: str = "val",
    height: int = 128,
    seeds: Numbers = (0, 1, 2),
    methods: Names = (),
) -> str:
    """Group pixels in every way into as many groups as there are classes, and score them.

    Args:
        data: Folder of images and masks.
        out: Folder of the result files, METHOD[-wWEIGHT]-HEIGHT-SEED.json, and of table.md; what
            is there already is kept.
        mapping: A mapping.csv that merges classes into coarser ones, or a name such as camvid-3.
        ignore: Name or id of a class to ignore; may be given several times.
        fit: Split that groups are made on, without its masks.
        score: Split that is answered and scored at the size of its masks.
        height: Of the images worked on, in pixels.
        seeds: Of each method.
        methods: By default all; may be given several times.

    Returns:
        The table of all results there.

    Raises:
        FrugalsegError: no such split or method, an option out of range, a result is of other
            settings, or a broken file.
    """
    folder = open_folder(data, mapping=mapping, ignore=ignore)
    _check(folder, (fit, score), methods, height)
    work = _Work(folder, fit, score, height)
    asked = RegionBaseline(str(data), mapping, ignore, fit, height=height)
    for name in methods or METHODS:
        method, kept = METHODS[name], dict[int, Described]()
        for seed, weight in itertools.product(seeds[: method.seeds], method.weights):
            one = dataclasses.replace(asked, method=name, weight=weight, seed=seed)
            place = f"-w{weight:g}" if len(method.weights) > 1 else ""
            run = f"{name}{place}-{height}"
            groups = partial(work.group, method, weight, seed, kept)
            make = partial(work.score_groups, one, run, groups)
            make_once(one, out / f"{run}-{seed}.json", make, score)
    return write_summary(out)


def _check(
    data: ImageMaskFolder, splits: Sequence[str], methods: Sequence[str], height: int
) -> None:
    for split in splits:
        if not data.splits.get(split):
            raise FrugalsegError(
                f"{data.root} has no images in {split!r}; it has {', '.join(data.splits)}."
            )
    if unknown := sorted(set(methods) - set(METHODS)):
        raise FrugalsegError(f"No method {unknown[0]!r}: there are {', '.join(METHODS)}.")
    if height < 16:
        raise FrugalsegError(f"height={height} is out of range: at least 16 pixels are needed.")


@dataclass
class _Work:
    """What all methods share; images are read when the first result is to be made."""

    data: ImageMaskFolder
    fit: str
    score: str
    height: int
    store: dict[str, list[Pixels]] = field(default_factory=dict)

    @property
    def clusters(self) -> int:
        return self.data.classes.num_classes

    def images(self, split: str) -> list[Pixels]:
        if split not in self.store:
            self.store[split] = [_small(sample, self.height) for sample in self.data.splits[split]]
        return self.store[split]

    def group(
        self, method: Method, weight: float, seed: int, kept: dict[int, Described]
    ) -> Iterator[NDArray[np.int64]]:
        """Find clusters on one split and answer the other: (h, w) groups of each image."""
        if method.build is None:
            yield from (np.zeros((1, 1), np.int64) for _ in self.data.splits[self.score])
            return
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

    def score_groups(
        self, one: RegionBaseline, run: str, answers: Callable[[], Iterable[NDArray[np.int64]]]
    ) -> Result:
        """The result of a grouping."""
        samples, classes = self.data.splits[self.score], self.data.classes
        counts = np.zeros((self.clusters, self.clusters), np.int64)
        for sample, groups in zip(samples, answers(), strict=True):
            assert sample.mask is not None
            truth = read_mask(sample.mask, classes)
            counts += count_regions(groups, truth, self.clusters, self.clusters)
        if not counts.any():
            raise FrugalsegError(f"{self.data.root}: no pixel in {self.score!r} has a class.")
        what: dict[str, Any] = {"run": f"{run}-{one.seed}", "data": self.data.name}
        what |= {"split": self.score}
        what |= {"images": len(samples), "method": one.method, "weight": one.weight}
        what |= {"height": one.height, "clusters": self.clusters}
        return make_result(kind_of(one.task), one, what, region_scores(counts, classes.names))


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

    clustering = MiniBatchKMeans(clusters, n_init=5, batch_size=4096, random_state=seed)
    clustering.fit(
        points(np.concatenate(features), np.concatenate(places)),
        sample_weight=np.concatenate(sizes).astype(np.float32),
    )

    def answer(one: Described) -> NDArray[np.int64]:
        return np.asarray(clustering.predict(points(one.features, one.places)), np.int64)

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
        from frugalseg._torchvision import patch_torchvision
        from frugalseg.models.backbone import settle_batch_norm
        from frugalseg.models.pretrained import (
            DEFAULT_ENCODER,
            encoder_mean_std,
            load_efficientnet_lite0,
        )

        patch_torchvision()
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
    "one-cluster": Method(None, seeds=1),
}
