"""Class lists: their files, how classes are merged, and what masks hold of them."""
