"""What two views agree on: functions on tensors that know no network, no file, no configuration."""

from frugalseg.information.accumulate import accumulate_iic
from frugalseg.information.assignment import (
    UNUSED,
    accuracy,
    agreement_scores,
    confusion,
    many_to_one,
    mean_and_spread,
    one_to_one,
)
from frugalseg.information.dense import displaced_joint, iic_segmentation_loss
from frugalseg.information.health import clustering_health
from frugalseg.information.joint import (
    entropy,
    iic_loss,
    joint_distribution,
    joint_from_counts,
    mutual_information,
    pair_counts,
    sum_over_processes,
)

__all__ = [
    "UNUSED",
    "accumulate_iic",
    "accuracy",
    "agreement_scores",
    "clustering_health",
    "confusion",
    "displaced_joint",
    "entropy",
    "iic_loss",
    "iic_segmentation_loss",
    "joint_distribution",
    "joint_from_counts",
    "many_to_one",
    "mean_and_spread",
    "mutual_information",
    "one_to_one",
    "pair_counts",
    "sum_over_processes",
]
