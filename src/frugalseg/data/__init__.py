"""Files to arrays: images, masks, class lists, and folders and data sets of them."""

from frugalseg.data.image_mask_folder import ImageMaskFolder, open_any_folder, open_folder
from frugalseg.data.image_set import ImageSet
from frugalseg.data.images import read_image
from frugalseg.data.masks import read_mask
from frugalseg.data.open_images import open_images

__all__ = [
    "ImageMaskFolder",
    "ImageSet",
    "open_any_folder",
    "open_folder",
    "open_images",
    "read_image",
    "read_mask",
]
