"""The data formats that can be read: a new one is a file here and a line below."""

from frugalseg.registry import Registry

# The first format that recognises a path reads it; the last one takes any folder.
FORMATS = Registry(
    "data format",
    {
        "digits": "frugalseg.data.formats.digits:DIGITS",
        "idx": "frugalseg.data.formats.idx:IDX",
        "cifar": "frugalseg.data.formats.cifar:CIFAR",
        "stl10": "frugalseg.data.formats.stl10:STL10",
        "archives": "frugalseg.data.formats.archives:ARCHIVES",
        "folder": "frugalseg.data.formats.image_folder:IMAGE_FOLDER",
    },
)
