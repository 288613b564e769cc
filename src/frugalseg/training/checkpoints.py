"""Checkpoints of a training under way: written whole or not at all, and read with a word."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from frugalseg.errors import FrugalsegError
from frugalseg.files import write_whole

# What torch makes of half a file, of an empty one, and of one that is something else.
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError),
    pickle.UnpicklingError,
)


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the file and puts it in place.

    Lightning writes into the temporary folder of the system. Where that is another file system,
    a full disk or a kill leaves half a checkpoint in the place of a good one.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; the older one stays as it was where that fails."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(content.getbuffer(), path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of a training, its tensors on the CPU.

    Raises:
        FrugalsegError: the file is damaged or no checkpoint.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        content["global_step"] = int(content["global_step"])
    except _UNREADABLE as error:
        raise FrugalsegError(
            f"{path} cannot be read ({type(error).__name__}): it holds how far the training came. "
            "Remove it and give the same command again: this training then begins anew."
        ) from error
    return content
