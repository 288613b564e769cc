import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score

from frugalseg.demo.scenes import SCENE_CLASSES
from frugalseg.models.fixed_samplers import OracleSampler
from frugalseg.models.segmenters import build_segmenter
from frugalseg.sampling import blend_with_uniform, interpolate
from frugalseg.tasks.segment.blend import BLENDS, best_blend, choose_blend
from frugalseg.tasks.segment.config import SegmentConfig
from frugalseg.tasks.segment.crops import CachedImages, random_crop
from frugalseg.tasks.segment.data import open_data
from frugalseg.tasks.segment.model import FrugalModel

SIZE, VIEW = (16, 32), (24, 48)
# answer by truth of three classes, the last of which is in no mask
UNSURE = np.array([[8, 2, 0], [5, 5, 0], [0, 0, 0]]).T
BETTER = np.array([[9, 1, 0], [2, 7, 1], [0, 0, 0]]).T


def test_without_targets_in_the_masks_all_classes_decide() -> None:
    chosen = best_blend({0.0: UNSURE, 0.5: BETTER, 1.0: UNSURE}, [2])
    assert chosen["blend"] == 0.5
    assert chosen["ceilings"]["0.5"]["target"] is None
    assert chosen["ceilings"]["0.5"]["all"] == pytest.approx((9 / 12 + 7 / 11) / 2)


def test_targets_decide_beside_all_classes() -> None:
    one = np.array([[10, 0, 0], [6, 4, 0], [0, 0, 0]]).T  # IoU 10/16 and 4/10
    other = np.array([[8, 2, 0], [3, 7, 0], [0, 0, 0]]).T  # IoU 8/13 and 7/12
    assert best_blend({0.0: one, 1.0: other}, [0])["blend"] == 0.0
    assert best_blend({0.0: one, 1.0: other}, [1])["blend"] == 1.0


def test_no_mean_may_fall_below_uniforms() -> None:
    uniform = np.array([[10, 0, 0], [6, 4, 0], [0, 0, 0]]).T  # IoU .625 and .4
    bold = np.array([[6, 4, 0], [0, 10, 0], [0, 0, 0]]).T  # .6 and .714: class 0 loses
    wise = np.array([[10, 0, 0], [5, 5, 0], [0, 0, 0]]).T  # .667 and .5
    trusts = {0.0: uniform, 0.5: wise, 1.0: bold}
    assert best_blend(trusts, [1])["blend"] == 1.0
    assert best_blend(trusts, [0])["blend"] == 0.5
    assert best_blend({0.0: uniform, 1.0: bold}, [0])["blend"] == 0.0


def test_where_nothing_is_known_the_sampler_is_followed() -> None:
    nothing = np.zeros((3, 3), np.int64)
    chosen = best_blend({0.0: nothing, 1.0: nothing}, [2])
    assert chosen["blend"] == 1.0
    assert chosen["ceilings"]["0.0"] == {"all": None, "target": None}


def slow_ceiling(model: FrugalModel, config: SegmentConfig, blend: float) -> list[float | None]:
    """Scores of true labels read at the samples and interpolated, by scikit-learn: all, targets."""
    truths, answers = [], []
    store = CachedImages(open_data(config).splits["val"], SCENE_CLASSES, SIZE)
    for i in range(len(store)):
        maps = random_crop(store[i], i, VIEW, None, None).maps[None]
        phi, truth = blend_with_uniform(model.sampler(maps), blend), store[i].labels
        at = (phi[0] * (torch.tensor(truth.shape) - 1)).round().long()
        read = truth[at[..., 0], at[..., 1]]
        votes = torch.from_numpy(np.stack([read == k for k in range(9)]).astype(np.float32))
        answers.append(interpolate(votes[None], phi, truth.shape)[0].argmax(0).numpy()[truth < 9])
        truths.append(truth[truth < 9])
    there = np.unique(np.concatenate(truths)).tolist()
    scores = jaccard_score(
        np.concatenate(truths), np.concatenate(answers), labels=there, average=None
    )
    targets = [s for k, s in zip(there, scores, strict=True) if k in SCENE_CLASSES.targets]
    return [float(scores.mean()), float(np.mean(targets)) if targets else None]


@pytest.mark.parametrize("targets", [True, False])
def test_the_trust_is_the_best_of_its_ceilings(targets: bool, scenes: Path, tmp_path: Path) -> None:
    data = shutil.copytree(scenes, tmp_path / "data")
    for path in [] if targets else sorted(data.glob("masks/val/*.png")):
        mask = np.array(Image.open(path))
        mask[np.isin(mask, SCENE_CLASSES.targets)] = 255
        Image.fromarray(mask).save(path)
    segmenter = build_segmenter("unet-plain", 9, widths=(4, 8))
    model = FrugalModel(OracleSampler(SIZE, share=0.9), segmenter, VIEW, SIZE)
    config = SegmentConfig(str(data), SIZE, sampler="oracle")
    chosen = json.loads(json.dumps(choose_blend(config, model, open_data(config))))
    slow = {blend: slow_ceiling(model, config, blend) for blend in BLENDS}
    best = max(slow, key=lambda blend: sum(v for v in slow[blend] if v is not None))
    assert chosen["blend"] == best > 0
    for blend, (every, target) in slow.items():
        found = chosen["ceilings"][str(blend)]
        assert found["all"] == pytest.approx(every, abs=2e-3)  # rounding where classes tie
        assert found["target"] == (pytest.approx(target, abs=2e-3) if targets else None)
