import torch

from frugalseg.models.backbone import build_backbone
from frugalseg.models.stages import every_stage, num_stage_features


def test_all_stages_hold_the_features_of_the_backbone() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("resnet18", maps=True, strides=(8, 16)).eval()
    images = torch.rand(2, 3, 70, 90)  # no multiples of the stride
    with torch.no_grad():
        stages, features = every_stage(backbone, images), backbone(images)
    assert list(stages) == [0, 1, 2, 3, 4]
    joined = torch.cat([stages[index] for index in backbone.network.indices], 1)
    torch.testing.assert_close(joined, features)
    assert sum(s.shape[1] for s in stages.values()) == num_stage_features(backbone)
    assert {s.shape[2:] for s in stages.values()} == {(9, 12)}


def test_finer_maps_are_averaged() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("resnet18", maps=True, strides=(8,)).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        fine = backbone.network.maps(backbone.normalise(images))[1]
        averaged = every_stage(backbone, images)[1]
    expected = fine.unflatten(2, (8, 2)).unflatten(4, (8, 2)).mean((3, 5))
    torch.testing.assert_close(averaged, expected)


def test_transformers_give_the_last_map_of_each_stride_and_own_networks_theirs() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("vit_tiny_patch16_224", maps=True, strides=(16,)).eval()
    assert num_stage_features(backbone) == backbone.num_features == 192
    images = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        (features,) = every_stage(backbone, images).values()
        torch.testing.assert_close(features, backbone(images))
        own = build_backbone("vgg-seg", 3, 2, maps=True).eval()
        (features,) = every_stage(own, images).values()
        torch.testing.assert_close(features, own(images))
    assert num_stage_features(own) == own.num_features
