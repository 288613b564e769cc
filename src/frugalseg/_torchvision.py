"""Make torchvision importable with a torch build that lacks its operators.

torchvision's Linux wheel on PyPI is built for CUDA. With a CPU build of torch, importing it fails
with "operator torchvision::nms does not exist", and timm, segmentation-models-pytorch, lightning
and torchmetrics all import it. It is enough to declare the operators that it names: none is called.
"""

import importlib
import re
import sys

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
# The declarations last as long as this object.
_library: torch.library.Library | None = None


def patch_torchvision() -> None:
    """Import torchvision and declare the operators that it lacks.

    Call it before importing any package that imports torchvision. On a sound install this is a
    plain import. If torchvision is not installed, nothing happens.

    Raises:
        RuntimeError: importing torchvision fails for another reason.
    """
    global _library
    if "torchvision" in sys.modules:
        return
    for _ in range(8):  # each attempt names one operator; torchvision 0.28 lacks two
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
