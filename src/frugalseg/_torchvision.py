"""Make torchvision importable beside a torch build whose operators it cannot load.

torchvision's Linux wheel on PyPI is built for CUDA; beside a CPU build of torch importing it fails
with "operator torchvision::nms does not exist", and timm, segmentation-models-pytorch, lightning
and torchmetrics all import it. Declaring the operators that it names is enough: none is called.
"""

import importlib
import re
import sys

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
# The declarations last as long as this library object does.
_library: torch.library.Library | None = None


def mend_torchvision() -> None:
    """Import torchvision, declaring the operators it misses; call it before what imports it.

    On a sound install this is a plain import. Where torchvision is not installed nothing happens.

    Raises:
        RuntimeError: where importing torchvision fails for another reason.
    """
    global _library
    if "torchvision" in sys.modules:
        return
    for _ in range(8):  # one operator is named an attempt; torchvision 0.28 misses two
        try:
            importlib.import_module("torchvision")
            return
        except ModuleNotFoundError as error:
            if error.name == "torchvision":
                return
            raise
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None:
                raise
            if _library is None:
                _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
            _library.define(missing[1] + _SCHEMA)  # type: ignore[no-untyped-call]
            for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
    importlib.import_module("torchvision")
