"""The network with two heads that clustering and discovery train, and their finished runs."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self

from torch import nn

from frugalseg.data.image_mask_folder import ImageMaskFolder
from frugalseg.data.image_set import ImageSet
from frugalseg.engine.config import OWN
from frugalseg.engine.environment import default_device
from frugalseg.engine.results import Result, ResultKind, make_result
from frugalseg.engine.run_dir import RunDir, load_weights
from frugalseg.errors import FrugalsegError
from frugalseg.files import same_path
from frugalseg.models.backbone import build_backbone
from frugalseg.models.heads import TwoHeadNet
from frugalseg.tasks.iic.config import Config, IICConfig, not_none


@dataclass(frozen=True)
class IICRun(Generic[Config]):
    """A finished clustering or discovery, loaded.

    Attributes:
        config_class: of its settings.
        dir: the run's folder.
        asked: the settings as they were given.
        config: the settings with nothing left open.
        state: the choices made in the training.
        net: backbone and heads, in evaluation mode, on the GPU if there is one.
    """

    config_class: ClassVar[type[Any]]

    dir: RunDir
    asked: Config
    config: Config
    state: dict[str, Any]
    net: TwoHeadNet

    @classmethod
    def load(cls, folder: Path | str, backbone: nn.Module | None = None) -> Self:
        """Load a finished run; its network is on the GPU if there is one.

        Args:
            folder: the run's folder.
            backbone: the run's backbone, if it was handed in; a copy of it gets the run's weights.

        Raises:
            FrugalsegError: the folder is incomplete or unfinished, its weights do not fit, or its
                backbone must be handed in.
        """
        run = RunDir(folder)
        asked, state = run.finished(cls.config_class)
        config = cls.config_class.from_values(state["resolved"], str(run.path / "state.json"))
        untrained = dataclasses.replace(config, pretrained=False)
        net = build_net(untrained, int(state["clusters"]), backbone)
        load_weights(net, run.weights, state["weights"])
        return cls(run, asked, config, state, net.to(default_device()).eval())

    @property
    def clusters(self) -> int:
        """k, outputs of the main head."""
        return int(self.state["clusters"])

    @property
    def sub_head(self) -> int:
        """The sub-head of the main head that has the lowest loss."""
        return int(self.state["sub_head"])

    @property
    def overcluster_sub_head(self) -> int:
        """The sub-head of the overclustering head that has the lowest loss."""
        return int(self.state["overcluster_sub_head"])

    @property
    def backbone_name(self) -> str:
        """The backbone's name in tables, with its width if it is trained from nothing."""
        named = self.config.frozen or self.config.pretrained
        return str(self.config.backbone) if named else f"{self.config.backbone} {self.config.width}"

    def result(
        self,
        kind: ResultKind,
        data: ImageSet | ImageMaskFolder,
        split: str,
        scores: Mapping[str, Any] | None,
        diagnostics: Mapping[str, float],
        losses: Sequence[float] | None = None,
        **parts: Any,
    ) -> Result:
        """The result of the run on some images.

        Args:
            kind: of the task.
            data: the images.
            split: which of them.
            scores, parts: see :class:`frugalseg.engine.results.Result`.
            diagnostics: of :func:`frugalseg.iic.clustering_diagnostics`.
            losses: of the sub-heads, in nats; by default those of the main head.
        """
        what = {
            "run": self.dir.name,
            "data": data.name,
            "split": split,
            "images": len(data.indices(split)),
            "clusters": self.clusters,
            "asked": self.asked.groups,
            "backbone": self.backbone_name,
            "frozen": self.config.frozen,
            "steps": self.config.steps,
        }
        losses = self.state["losses"] if losses is None else losses
        parts = {"diagnostics": diagnostics, "losses": losses, **parts}
        return make_result(kind, self.asked, what, scores, **parts)

    def known_agreement(self, root: Path, split: str) -> dict[str, float]:
        """ "agreement" of two views, which the training measured on its own images; else nothing.

        Args:
            root: folder of the images that are evaluated.
            split: which of them.
        """
        own = same_path(root, self.config.data) and split == self.config.split
        return {"agreement": self.state["diagnostics"]["agreement"]} if own else {}


def build_net(config: IICConfig, groups: int, backbone: nn.Module | None = None) -> TwoHeadNet:
    """The untrained network of a resolved configuration.

    Args:
        config: the configuration.
        groups: k of the main head.
        backbone: the configuration's backbone, if it is handed in; a copy of it is built in.

    Raises:
        FrugalsegError: there is no such backbone, its weights cannot be had, it must be handed in,
            or one is handed in that the configuration does not want.
    """
    if (config.backbone == OWN) == (backbone is None):
        raise FrugalsegError(
            "The run's backbone was handed in from Python: hand it in again, as the argument "
            "network."
            if backbone is None
            else f"The run's backbone is {config.backbone}: none can be handed in."
        )
    chosen = str(config.backbone) if backbone is None else copy.deepcopy(backbone).cpu()
    channels, width = config.views.out_channels, not_none(config.width)
    return TwoHeadNet(
        build_backbone(chosen, channels, width, bool(config.pretrained), **config.maps),
        groups,
        config.finer,
        not_none(config.sub_heads),
        not_none(config.hidden),
        not_none(config.components) if config.frozen else 0,
        config.merged,
    )


def share_frozen(net: TwoHeadNet, source: TwoHeadNet) -> None:
    """Give a network the frozen backbone of another, and the components that its heads stand on."""
    net.backbone.load_state_dict(source.backbone.state_dict())
    net.backbone.requires_grad_(False)
    net.centre, net.spread, net.directions = source.centre, source.spread, source.directions
