"""Invariant information clustering: pure functions on tensors, without networks or files."""

from frugalseg.iic.dense_loss import displaced_joint, iic_segmentation_loss
from frugalseg.iic.diagnostics import clustering_diagnostics
from frugalseg.iic.loss import (
    accumulate_iic,
    entropy,
    iic_loss,
    joint_distribution,
    joint_from_counts,
    mutual_information,
    pair_counts,
    sum_over_processes,
)
from frugalseg.iic.matching import UNUSED, many_to_one, one_to_one

__all__ = [
    "UNUSED",
    "accumulate_iic",
    "clustering_diagnostics",
    "displaced_joint",
    "entropy",
    "iic_loss",
    "iic_segmentation_loss",
    "joint_distribution",
    "joint_from_counts",
    "many_to_one",
    "mutual_information",
    "one_to_one",
    "pair_counts",
    "sum_over_processes",
]
