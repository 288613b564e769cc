"""Few pixels, few labels: segment large images from the points that matter; group images.

    import frugalseg

    run = frugalseg.load("runs/leaves")
    labels = run.predict("photo.jpg").labels  # (H, W) class indices

The geometry is in :mod:`frugalseg.sampling`, the information losses are in :mod:`frugalseg.iic`.
Everything heavy is imported when first used.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugalseg._numba_cache import give_numba_a_cache
from frugalseg.errors import FrugalsegError

give_numba_a_cache()

if TYPE_CHECKING:
    from torch import nn

    from frugalseg.tasks.base import compare, evaluate, predict, suggest

__version__ = "0.1.0"
__all__ = [
    "FrugalsegError",
    "__version__",
    "compare",
    "evaluate",
    "load",
    "predict",
    "suggest",
    "train",
]


def load(folder: Path | str, network: "nn.Module | None" = None) -> Any:
    """Load a finished run of any task.

    Args:
        folder: the run's folder.
        network: the network that was handed in to train the run, if any.

    Returns:
        The loaded run, on the GPU if there is one. Its ``predict`` takes an image file or an array.
        The ``labels`` of the answer are ``(H, W)`` class or region indices for segmentations and
        discoveries (fine-tuned ones too), and ``(N,)`` cluster or class indices of the images for
        clusterings.

    Raises:
        FrugalsegError: the folder is incomplete or unfinished, or its weights do not fit.
    """
    from frugalseg.tasks.base import load as load_run

    return load_run(folder, network)


def train(
    task: str,
    source: Path | str,
    run: Path | str | None = None,
    network: "nn.Module | None" = None,
    **settings: Any,
) -> Any:
    """Train a run, or resume an unfinished one; write its results, and load it.

    Args:
        task: "segment", "cluster", "discover" or "finetune".
        source: the folder of images; for "finetune", the folder of a finished clustering or
            discovery.
        run: the run's folder; by default one below ``runs/``.
        network: your own network: a segmenter for "segment", a backbone for "cluster" and
            "discover"; a copy is trained, starting from its weights.
        settings: of the task's command, such as ``steps=500``.

    Returns:
        The loaded run, as from :func:`load`.

    Raises:
        FrugalsegError: an error that the user can fix, before any training starts.
    """
    from frugalseg.registry import refuse_unknown_options
    from frugalseg.tasks import CONFIGS
    from frugalseg.tasks.base import train as train_run

    kind = CONFIGS.find(task)
    refuse_unknown_options(f"The task {task!r}", settings, kind.names())
    config = kind(**{kind.source: str(source)}, **settings)
    return train_run(config, None if run is None else Path(run), network)


def __getattr__(name: str) -> Any:
    if name in ("sampling", "iic"):
        return import_module(f"frugalseg.{name}")
    if name in ("compare", "evaluate", "predict", "suggest"):  # the commands, as functions
        return getattr(import_module("frugalseg.tasks.base"), name)
    raise AttributeError(f"module 'frugalseg' has no attribute {name!r}")
