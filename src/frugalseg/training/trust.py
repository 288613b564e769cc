"""How far the sampler is followed: as far as its ceilings on images it has not seen say."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from frugalseg.data.folder import SegmentationFolder
from frugalseg.evaluation.ceiling import ceiling_confusion, ceilings
from frugalseg.networks.samplers import OracleSampler
from frugalseg.pipeline import FrugalModel
from frugalseg.runs import SegmentConfig
from frugalseg.sampling import blend_with_uniform
from frugalseg.training.examples import ImageStore, cut

TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)
TRUST_IMAGES = 40


def choose_trust(
    config: SegmentConfig,
    model: FrugalModel,
    dataset: SegmentationFolder,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Follow the sampler as far as its ceilings on unseen images say, and never below uniform's.

    The ceiling is the score of a perfect segmenter on the samples (:mod:`..evaluation.ceiling`);
    chosen on val, or on what is held out.

    Returns:
        "trust", 0 to 1, and the "ceilings" behind it, where there are any.
    """
    if config.sampler == "uniform" or config.trust is not None:
        return {"trust": 1.0 if config.trust is None else config.trust}
    samples = dataset.splits.get("held") or dataset.splits.get("val") or ()
    samples = samples[:: max(1, -(-len(samples) // TRUST_IMAGES))]
    if not samples:
        return {"trust": 1.0}
    say(f"Choosing how far to follow the sampler on {len(samples)} val images")
    store = ImageStore(samples, dataset.classes, config.size)
    count = dataset.classes.num_classes
    confusion = {a: np.zeros((count, count), np.int64) for a in TRUSTS}
    model.eval()
    for i in range(len(store)):
        stored = store[i]
        example = cut(stored, i, model.view, None, None)
        needs = example.maps if isinstance(model.sampler, OracleSampler) else example.view
        with torch.inference_mode():
            phi = model.sampler(needs[None].to(model.device)).cpu()
            for a in TRUSTS:
                confusion[a] += ceiling_confusion(
                    stored.labels, blend_with_uniform(phi, a)[0], count
                )
    return best_trust(confusion, dataset.classes.targets)


def best_trust(confusion: Mapping[float, NDArray[np.int64]], targets: list[int]) -> dict[str, Any]:
    """The trust of the highest ceiling: the mean of all and of target classes decides.

    Where either mean is below that of uniform sampling (trust 0) the sampler is not followed so
    far. A ceiling is what a perfect segmenter would score: a real one may still gain or lose beside
    uniform sampling. Where the images show no target, all classes decide alone; where they show no
    class at all, there is nothing to doubt the sampler by.

    Args:
        confusion: ``(C, C)`` counts of a perfect segmenter by trust, truth by answer.
        targets: indices of the target classes.

    Returns:
        "trust", and the "ceilings" by trust: "all" and "target", None where there is none.
    """
    found = {a: ceilings(c, targets) for a, c in confusion.items()}
    sums = {a: [v for v in c.values() if v is not None] for a, c in found.items()}
    sound = [a for a in sums if all(v >= u for v, u in zip(sums[a], sums[min(sums)], strict=True))]
    best = max(sound, key=lambda a: sum(sums[a])) if any(sums.values()) else 1.0
    return {"trust": best, "ceilings": {str(a): c for a, c in found.items()}}
