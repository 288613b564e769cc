"""What a batch can tell apart."""

# The joint of k clusters has k * k entries that a batch of pairs must fill: with fewer pairs a
# cluster than this, information is found in chance.
PAIRS_A_CLUSTER = 5


def few_pairs(clusters: int, batch: int, copies: int, option: str = "clusters") -> str | None:
    """Say where a batch hardly tells so many clusters apart, and which one would.

    Args:
        clusters: k of a head.
        batch: images in a batch.
        copies: transformed views of each: a batch has batch * copies pairs.
        option: the option that k was given by.

    Returns:
        A sentence where there are few pairs for each cluster, else None.
    """
    if clusters * PAIRS_A_CLUSTER <= batch * copies:
        return None
    return (
        f"{option}={clusters} is much for batches of {batch} images in {copies} copies: "
        f"--batch {-(-clusters * PAIRS_A_CLUSTER // copies)} would tell them apart better."
    )
