"""The settings of a clustering; :mod:`frugalseg.engine.run_dir` lists the files of its run."""

import typing
from dataclasses import dataclass
from typing import Literal

from cyclopts import Parameter

from frugalseg.augment.config import PRESETS, AugmentConfig, with_augment_options
from frugalseg.engine.config import Names, setting
from frugalseg.models import HEADS
from frugalseg.tasks.iic.config import IICConfig


@Parameter(name="*")
@dataclass(frozen=True)
class ClusterConfig(IICConfig):
    """Group the images of a folder without labels: a table, and a page to look at.

    Writes RUN/assignments.csv (file, cluster, confidence, second choice) and RUN/report.html. An
    interrupted training goes on if the same command is given again.
    """

    task: typing.ClassVar[str] = "cluster"
    groups_setting: typing.ClassVar[str] = "clusters"
    finer_setting: typing.ClassVar[str] = "overclusters"
    unit: typing.ClassVar[str] = "clusters"
    default_run: typing.ClassVar[str] = "runs/DATA-clusters-CLUSTERS-SEED"

    data: typing.Annotated[str, Parameter(parse=False)] = setting(
        "",
        "Folder of images, a data set as its makers ship it, or the word digits.",
    )
    clusters: int | Literal["auto"] = setting(
        10, "Number of clusters, or auto.", at_least=2, at_most=10_000
    )
    labels: str | None = setting(
        None,
        'A CSV file (file,label), or "folders"; they name and score clusters, no more.',
    )
    overclusters: int | None = setting(
        None,
        "Clusters of the overclustering head; by default 5 times as many.",
        at_least=2,
        at_most=50_000,
    )
    neighbours: int | None = setting(
        None,
        "With frozen features: that many nearest images count as views of each other.",
        at_least=0,
    )
    augment: str | None = setting(None, "How views are made", choices=PRESETS)
    micro_batch_size: int | None = setting(
        None, "Images computed at once; the result is that of the whole batch.", at_least=2
    )
    head_order: typing.Annotated[Names, Parameter(show_default=False)] = setting(
        ("main", "main", "overcluster"),
        "Heads that learn in turn; may be given several times",
        choices=HEADS,
    )
    shuffle: bool = setting(
        True, "Draw batches at random, not in the order of the files, as the published code does."
    )
    features: str | None = setting(
        None, "Folder that keeps computed features for other runs.", names_run=False
    )

    @property
    def views(self) -> AugmentConfig:
        preset: AugmentConfig = PRESETS[str(self.augment)]
        return with_augment_options(preset, self.augment_options)
