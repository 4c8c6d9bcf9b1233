"""What a block of rows is, whatever file it came from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

Row = dict[str, object]


class RowBlock(ABC):
    """Some neighbouring rows of a file, as they stand there; may be sent to another process."""

    @abstractmethod
    def rows(self, columns: Sequence[str], source: str) -> Iterable[Row]:
        """Values by column. Raises DataError that names the source and the line at fault, when it
        comes to it.

        columns: those that hold the texts.
        """
