"""Padded sizes: instances of nearly the same size share one simulation."""


def rounded(number: int) -> int:
    """Up to the next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: neighbours share a size, and padding stays below a half.

    >>> [rounded(number) for number in (1, 5, 9, 100)]
    [1, 6, 12, 128]
    """
    size = 1
    while size < number:
        size = size * 3 // 2 if size & (size - 1) == 0 and size > 1 else (size // 3 * 4 if size % 3 == 0 else size + 1)
    return size
