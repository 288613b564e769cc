"""Networks by name: to add one, enter it in its registry here."""

from frugalseg.registry import Registry

_PAPERS = "frugalseg.models.paper_nets"
_SAMPLERS = "frugalseg.models.samplers"
_FIXED_SAMPLERS = "frugalseg.models.fixed_samplers"
_SEGMENTERS = "frugalseg.models.segmenters"

# the two heads of frugalseg.models.heads.TwoHeadNet
HEADS = ("main", "overcluster")

# classes that take (channels, width) and have the attributes num_features and stride; a stride of 0
# means a vector for each image. All timm models are backbones too and, for maps, the segmenters
# with an encoder (frugalseg.models.encoder_decoder)
BACKBONES = Registry(
    "backbone",
    {
        "resnet34-iic": f"{_PAPERS}:ResNet34",
        "vgg-iic": f"{_PAPERS}:Vgg",
        "vgg-seg": f"{_PAPERS}:SegmentationVgg",
    },
)

# classes that take the number of samples (h, w) and their own options; the default comes first
SAMPLERS = Registry(
    "sampler",
    {
        "density": f"{_SAMPLERS}:DensitySampler",
        "direct": f"{_SAMPLERS}:DirectSampler",
        "boundary": f"{_SAMPLERS}:BoundarySampler",
        "saliency": f"{_SAMPLERS}:SaliencySampler",
        "separable": f"{_SAMPLERS}:SeparableSampler",
        "gradient": f"{_FIXED_SAMPLERS}:GradientSampler",
        "uniform": f"{_FIXED_SAMPLERS}:UniformSampler",
        "oracle": f"{_FIXED_SAMPLERS}:OracleSampler",
    },
)

# functions of (num_classes, encoder, pretrained, extra_channels, options); the default comes first
SEGMENTERS = Registry(
    "segmenter",
    {
        "unet": f"{_SEGMENTERS}:unet",
        "unet-plain": f"{_SEGMENTERS}:unet_plain",
        "pspnet": f"{_SEGMENTERS}:pspnet",
        "deeplabv3plus": f"{_SEGMENTERS}:deeplabv3plus",
        "deeplabv3": f"{_SEGMENTERS}:deeplabv3",
        "unetplusplus": f"{_SEGMENTERS}:unetplusplus",
        "manet": f"{_SEGMENTERS}:manet",
        "linknet": f"{_SEGMENTERS}:linknet",
        "fpn": f"{_SEGMENTERS}:fpn",
        "upernet": f"{_SEGMENTERS}:upernet",
        "segformer": f"{_SEGMENTERS}:segformer",
    },
)
