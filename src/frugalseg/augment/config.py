"""Settings for making views of images, with their limits, and presets by name."""

import dataclasses
import typing
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from frugalseg.errors import FrugalsegError
from frugalseg.registry import Registry, did_you_mean

CHANNELS = {"rgb": 3, "sobel": 2, "rgb+sobel": 5, "rgbi": 4}
LARGEST = 10_000  # most pixels of a side


def _setting(default: Any, low: float = 0, high: float = 1, choices: Collection[Any] = ()) -> Any:
    """A field and its limits, which hold for each number of a tuple; or its possible values."""
    return dataclasses.field(default=default, metadata={"limits": (low, high), "choices": choices})


@dataclass(frozen=True, kw_only=True)
class BaseAugmentConfig:
    """Changes of geometry and colours, drawn for each view.

    Attributes:
        flip: probability of a flip left to right.
        rotation: largest rotation about the image's centre, in degrees.
        shear: largest shear along the rows, in degrees.
        affine_probability: probability of rotation and shear together.
        scale: a factor is drawn between these two.
        brightness, contrast, saturation: factors are drawn from 1 - b to 1 + b.
        hue: drawn from -h to h turns of the colour circle (at most 0.5).

    Raises:
        FrugalsegError: a value is out of range.
    """

    flip: float = _setting(0.0)
    rotation: float = _setting(0.0, 0, 180)
    shear: float = _setting(0.0, 0, 89)
    affine_probability: float = _setting(1.0)
    scale: tuple[float, float] = _setting((1.0, 1.0), 0.01, 100)
    brightness: float = _setting(0.0)
    contrast: float = _setting(0.0)
    saturation: float = _setting(0.0)
    hue: float = _setting(0.0, 0, 0.5)

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value, hint = getattr(self, field.name), hints[field.name]
            if isinstance(value, list):  # settings read from YAML have lists
                value = tuple(value)
                object.__setattr__(self, field.name, value)
            (low, high), choices = field.metadata["limits"], field.metadata["choices"]
            limit = _wrong(value, hint, low, high, choices)
            if limit is not None:
                raise FrugalsegError(
                    f"The setting {field.name} of views is {value!r}: it must be {limit}."
                )

    @property
    def out_channels(self) -> int:
        """Channels of a view, which the network takes."""
        raise NotImplementedError


def _wrong(value: Any, hint: Any, low: float, high: float, choices: Collection[Any]) -> str | None:
    """Say what a value must be; None if it is of the type and within the limits."""
    several = typing.get_origin(hint) is tuple
    kind, *more = typing.get_args(hint) or (hint,)
    values = value if isinstance(value, tuple) else (value,)
    fits = isinstance(value, tuple) == several and not any(isinstance(v, bool) for v in values)
    fits = fits and all(isinstance(v, int | float if kind is float else kind) for v in values)
    if choices:
        limit = f"one of {', '.join(map(str, choices))}"
        return None if fits and value in choices else limit
    limit = f"{'whole ' * (kind is int)}number{'s' * several} between {low} and {high}"
    fits = fits and all(low <= v <= high for v in values)
    if more == [kind]:
        fits = fits and len(values) == 2 and values[0] <= values[1]
        limit = f"two {limit}, the smaller first"
    return None if fits else limit if several else f"a {limit}"


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(BaseAugmentConfig):
    """Settings for views of whole images; further settings: :class:`BaseAugmentConfig`.

    Crops are sides in pixels of an image of ``side`` x ``side``.

    Attributes:
        side: height and width of the images.
        size: height and width of a view.
        channels: 1 (grey) or 3 (colour); images are converted.
        plain_crops: crops of the plain view, equally probable.
        plain_centre: share of plain views that are cropped at the centre; the others anywhere.
        test_crop: crop of the view for predictions, always at the centre.
        crops: crops of transformed views, equally probable, anywhere. They may be larger than the
            image, which is continued as ``outside`` says.
        affine_probability: of rotation and shear together; crops are always scaled.
        scale: the crop's side is multiplied by a number drawn between these.
        cut: probability of a black box.
        cut_side: smallest and largest side of the box as shares of the view.
        outside: "zeros" (black) or "reflection" (mirrored).
        sobel: "none"; "only", the two derivatives of the grey image alone; "beside" the colours.
    """

    side: int = _setting(dataclasses.MISSING, 1, LARGEST)
    size: int = _setting(dataclasses.MISSING, 1, LARGEST)
    channels: int = _setting(3, choices=(1, 3))
    plain_crops: tuple[int, ...] = _setting((), 1, LARGEST)
    plain_centre: float = _setting(0.0)
    test_crop: int = _setting(0, 1, LARGEST)
    crops: tuple[int, ...] = _setting((), 1, LARGEST)
    affine_probability: float = _setting(0.5)
    cut: float = _setting(0.0)
    cut_side: tuple[float, float] = _setting((0.2, 0.7))
    outside: str = _setting("zeros", choices=("zeros", "reflection"))
    sobel: str = _setting("none", choices=("none", "only", "beside"))

    def __post_init__(self) -> None:
        for name in ("plain_crops", "crops"):
            object.__setattr__(self, name, getattr(self, name) or (self.side,))
        object.__setattr__(self, "test_crop", self.test_crop or self.side)
        super().__post_init__()

    @property
    def out_channels(self) -> int:
        return {"none": self.channels, "only": 2, "beside": self.channels + 2}[self.sobel]


@dataclass(frozen=True, kw_only=True)
class DenseAugmentConfig(BaseAugmentConfig):
    """Settings for views whose predictions are maps; further settings: :class:`BaseAugmentConfig`.

    The defaults are the published ones: colours and a flip (Ji et al. 2019). The published affine
    changes are a rotation of 30 degrees, a shear of 10 degrees and a scale of 0.8 to 1.2.

    Attributes:
        channels: the network's input: "rgb"; "sobel", the two derivatives of the grey image;
            "rgb+sobel"; "rgbi", colour and infrared.
        affine_probability: of rotation, shear and scale together.
        scale: views are enlarged by a factor drawn between these.
    """

    channels: str = _setting("rgb", choices=CHANNELS)
    flip: float = _setting(0.5)
    brightness: float = _setting(0.4)
    contrast: float = _setting(0.4)
    saturation: float = _setting(0.4)
    hue: float = _setting(0.125, 0, 0.5)

    @property
    def out_channels(self) -> int:
        return CHANNELS[self.channels]

    @property
    def flips_only(self) -> bool:
        """Whether flips are the only changes of geometry."""
        still = not (self.rotation or self.shear or self.scale != (1.0, 1.0))
        return still or not self.affine_probability


AnyAugmentConfig = TypeVar("AnyAugmentConfig", bound=BaseAugmentConfig)


def with_augment_options(
    views: AnyAugmentConfig, options: Mapping[str, Any], fixed: Set[str] = frozenset()
) -> AnyAugmentConfig:
    """Change settings of views.

    Args:
        views: the settings to start from.
        options: names and values from --augment-options.
        fixed: settings that have an option of their own and cannot be changed here.

    Raises:
        FrugalsegError: there is no such setting, or it cannot have this value.
    """
    known = {field.name for field in dataclasses.fields(views)} - fixed
    unknown = sorted(set(options) - known)
    if unknown:
        raise FrugalsegError(
            f"Views have no setting {unknown[0]!r}{did_you_mean(unknown[0], known)}: "
            f"choose among {', '.join(sorted(known))}."
        )
    try:
        return dataclasses.replace(views, **options)
    except (FrugalsegError, TypeError) as error:  # out of range, or a word for a number
        reason = str(error).removesuffix(".")
        raise FrugalsegError(f"--augment-options cannot be used: {reason}.") from error


_JITTER: dict[str, Any] = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.125}
_GREY: dict[str, Any] = {"channels": 1, "brightness": 0.4, "contrast": 0.4}
_CIFAR: dict[str, Any] = {"plain_crops": (20,), "test_crop": 20, "crops": (20,), "flip": 0.5}
_STL: dict[str, Any] = {"plain_crops": (64,), "test_crop": 64, "crops": (64,), "flip": 0.5}
_STL |= {"side": 96, "size": 64, "sobel": "only", **_JITTER}
PRESETS = Registry(
    "preset of views",
    {
        # Ji et al. 2019, their settings of each data set
        "mnist": AugmentConfig(
            side=28, size=24, plain_crops=(20,), plain_centre=0.5, test_crop=20,
            crops=(16, 20, 24), rotation=25, **_GREY,
        ),
        "cifar": AugmentConfig(side=32, size=32, sobel="only", **_CIFAR, **_JITTER),
        "stl": AugmentConfig(**_STL),
        # their supervised fine-tuning on STL10
        "stl-supervised": AugmentConfig(scale=(0.9, 1.1), rotation=18, shear=10, cut=0.5, **_STL),
        # ours: photographs for a pretrained network
        "photo": AugmentConfig(
            side=160, size=128, plain_crops=(144,), test_crop=144, crops=(160,),
            scale=(0.5, 0.95), rotation=10, flip=0.5, outside="reflection", **_JITTER,
        ),
        "digits": AugmentConfig(
            side=24, size=24, plain_crops=(22,), test_crop=22, crops=(18, 21, 24), rotation=20,
            **_GREY,
        ),
    },
)  # fmt: skip
