"""What a connector is: list the files of a partition, open one, say how many rows it declares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from cityledger.contracts.identity import Partition


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One file (or query result, or page of an API) of a delivery.

    Attributes:
        name: As the department wrote it; unique within the delivery.
        uri: Where it is read, without credentials.
        size: In bytes, if known before reading.
        modified_at: When the department wrote it, if known.
        token: What the connector needs to open it.
    """

    name: str
    uri: str
    size: int | None = None
    modified_at: datetime | None = None
    token: Any = None


class Source(ABC):
    """A connector for one dataset.

    A new kind of source is a module with a subclass and an entry point in the group
    ``cityledger.sources``; nothing else changes.

    Args:
        options: The contract's ``source.options``.
        drop_dir: The folder where departments put files (used by file connectors only).
    """

    def __init__(self, options: Mapping[str, Any], *, drop_dir: Path) -> None:
        self.options = options
        self.drop_dir = drop_dir

    @abstractmethod
    def list(self, partition: Partition) -> list[SourceItem]:
        """The files of a partition's delivery in name order.

        Raises:
            BadInputError: ``nothing_delivered``, or the delivery can't be taken as it is.
            UnavailableError: the department's system does not answer.
        """

    @abstractmethod
    def open(self, item: SourceItem) -> AbstractContextManager[BinaryIO]:
        """Stream one file.

        Raises:
            BadInputError: on leaving the context, ``source_changed``: the file was written to
                while it was read.
        """

    def declared_rows(self, partition: Partition) -> int | None:  # noqa: ARG002 - the interface
        """How many rows the department says it handed in; None when it doesn't say."""
        return None
