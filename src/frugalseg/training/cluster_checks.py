"""What a clustering cannot be made from, said before anything is trained."""

from frugalseg.data.duplicates import refuse_equal_images
from frugalseg.data.image_sets import ImageSet
from frugalseg.errors import FrugalsegError

# The joint of k clusters has k * k entries that a batch of pairs must fill: with fewer pairs a
# cluster than this, information is found in chance.
PAIRS_A_CLUSTER = 5


def refuse_images(images: ImageSet, clusters: int | None) -> None:
    """Raise where no number of clusters, or not this one, can be found in the images.

    Args:
        images: the set.
        clusters: k; None where it is to be found.

    Raises:
        FrugalsegError: one image, fewer images than clusters, k below 2, or all images equal.
    """
    if len(images) < 2:
        raise FrugalsegError(f"{images.root} holds one image: grouping needs more than one.")
    if clusters is not None and clusters < 2:
        raise FrugalsegError(
            f"clusters={clusters}: all images would be in one group. Give 2 or more."
        )
    if clusters is not None and len(images) < clusters:
        raise FrugalsegError(
            f"{images.root} holds {len(images)} images, fewer than the {clusters} clusters asked: "
            f"give --clusters {max(2, len(images) // 3)} or fewer, or more images."
        )
    refuse_equal_images(images)


def refuse_batch(clusters: int, batch: int, copies: int, option: str = "clusters") -> str | None:
    """Raise where a batch cannot tell so many clusters apart; say where it hardly can.

    A batch shows at most as many clusters as it has images, and the joint of two views is counted
    from its pairs.

    Args:
        clusters: k of the head.
        batch: images in a batch.
        copies: transformed views of each: a batch has batch * copies pairs.
        option: the option that k was given by.

    Returns:
        A sentence where there are few pairs for each cluster, else None.

    Raises:
        FrugalsegError: there are fewer images in a batch than clusters.
    """
    if clusters > batch:
        raise FrugalsegError(
            f"{option}={clusters}: a batch of {batch} images cannot tell so many clusters apart. "
            f"Give --batch {clusters * -(-PAIRS_A_CLUSTER // copies)}, or fewer clusters."
        )
    if clusters * PAIRS_A_CLUSTER > batch * copies:
        return (
            f"{option}={clusters} is much for batches of {batch} images in {copies} copies: "
            f"--batch {-(-clusters * PAIRS_A_CLUSTER // copies)} would tell them apart better."
        )
    return None
