"""People who do not exist: motions with exact truth, and videos of them."""
