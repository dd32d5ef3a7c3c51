"""A generated delivery: the files, and the answer to them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cityledger.demo.generate.answers import DeliveryAnswer, FileEntry, Place
from cityledger.demo.generate.planting import Book


@dataclass(frozen=True, slots=True)
class Delivery:
    """Files by path below the drop folder, and what they must come to."""

    files: Mapping[str, bytes]
    answer: DeliveryAnswer


def close(book: Book, files: Mapping[str, bytes], place: Callable[[int], Place]) -> Delivery:
    """Close the book over the finished files; ``place`` tells where a row came to stand."""
    entries = [
        FileEntry(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in sorted(files.items())
    ]
    return Delivery(files, book.close(place, entries))
