"""What the commands do: files in, work by the packages, files and a few lines out."""

from frugalseg.commands.segmentation import (
    check,
    compare,
    evaluate,
    predict,
    sampling,
    segment,
    study,
)

__all__ = ["check", "compare", "evaluate", "predict", "sampling", "segment", "study"]
