"""Weights of a run: a safetensors file, written whole, read with what may be wrong said."""

import typing
from pathlib import Path

from frugalseg.errors import FrugalsegError
from frugalseg.files import write_whole

if typing.TYPE_CHECKING:
    from torch import nn


def save_weights(model: "nn.Module", folder: Path, name: str = "weights.safetensors") -> None:
    """Write a model's tensors to a file of a run, whole or not at all."""
    from safetensors.torch import save

    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    write_whole(save(tensors), folder / name)


def load_weights(model: "nn.Module", path: Path) -> None:
    """Fill a model with the tensors of a file.

    Raises:
        FrugalsegError: the file is damaged, or does not fit the model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        said = " ".join(str(error).split())
        raise FrugalsegError(
            f"{path} is not a whole safetensors file ({said}). Train the run again."
        ) from error
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise FrugalsegError(
            f"{path} does not fit the run's config.yaml: were they written by one training? "
            f"({str(error).splitlines()[1].strip()})"
        ) from error
