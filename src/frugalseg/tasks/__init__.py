"""The tasks: one folder each, of one shape.

Listing them imports nothing heavy; a task is imported when it is first used.
"""

from frugalseg.registry import Registry

TASKS = Registry(
    "task",
    {
        "segment": "frugalseg.tasks.segment.task:TASK",
        "cluster": "frugalseg.tasks.cluster.task:TASK",
        "discover": "frugalseg.tasks.discover.task:TASK",
        "finetune": "frugalseg.tasks.finetune.task:TASK",
    },
)
CONFIGS = Registry(
    "task",
    {
        "segment": "frugalseg.tasks.segment.config:SegmentConfig",
        "cluster": "frugalseg.tasks.cluster.config:ClusterConfig",
        "discover": "frugalseg.tasks.discover.config:DiscoverConfig",
        "finetune": "frugalseg.tasks.finetune.config:FinetuneConfig",
    },
)
