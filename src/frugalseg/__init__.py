"""Few pixels, few labels: segment large images from the points that matter.

    import frugalseg

    model = frugalseg.load("runs/leaves")
    labels = model.predict("photo.jpg").labels  # (H, W) class indices

The geometry is in :mod:`frugalseg.sampling`. Everything heavy is imported when first used.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugalseg._numba_cache import give_numba_a_cache
from frugalseg.errors import FrugalsegError

give_numba_a_cache()

if TYPE_CHECKING:
    from frugalseg.pipeline import FrugalModel

__version__ = "0.1.0"
__all__ = ["FrugalsegError", "__version__", "load"]


def load(folder: Path | str) -> "FrugalModel":
    """The model of a finished run.

    Args:
        folder: the run's folder.

    Returns:
        The model, in evaluation mode, on the GPU where there is one; its ``predict`` labels an
        image file or an array.

    Raises:
        FrugalsegError: the folder is incomplete, unfinished, or its weights do not fit.
    """
    from frugalseg.runs import load_run

    return load_run(folder).model


def __getattr__(name: str) -> Any:
    if name == "sampling":
        return import_module("frugalseg.sampling")
    raise AttributeError(f"module 'frugalseg' has no attribute {name!r}")
