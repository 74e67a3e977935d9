"""Files of memory, by their key, and what is in those that hold no rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from catalog.store_files import StoreFileKind
from service.engine.orders import Fragments, NewFile, NewStoreFile
from tests.store.history.rows import Row


@dataclass(frozen=True, slots=True)
class Labels:
    """A labelling: the links that it was made from, and who has records in the main data set."""

    links: frozenset[tuple[str, str]]
    owners: frozenset[str]
    main_dataset_id: str | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """A numbering: the number of each item."""

    given: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Home:
    """A home file: of which store file, and by which labelling."""

    store_file: str
    labelling: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What an export goes by until it ends."""

    labels: str | None
    numbers: str | None
    #: Keys of whatever it reads.
    reads: frozenset[str]


Rows = tuple[Row, ...]
Content = Rows | Labels | Numbers | Home | Plan


class Disk:
    """Files, by their key."""

    def __init__(self) -> None:
        self.files: dict[str, Content] = {}

    def put(self, kind: StoreFileKind, key: str, rows: Iterable[Row]) -> NewStoreFile:
        """Write a store file."""
        told = tuple(rows)
        file = self.keep(key, told, row_count=len(told))
        return NewStoreFile(kind=kind, **file.model_dump())

    def keep(self, key: str, content: Content, *, row_count: int = 1) -> NewFile:
        """Write any file, once."""
        assert key not in self.files, f"{key} is written twice"
        self.files[key] = content
        return NewFile(key=key, size_bytes=100 + row_count, row_count=row_count, sha256="")

    def below(self, folder: str) -> Iterator[str]:
        """Keys of a folder's files, as the sweeper asks for them."""
        return (key for key in [*self.files] if key.startswith(f"{folder}/"))

    def delete(self, key: str) -> bool:
        return self.files.pop(key, None) is not None

    def tidy(self, folder: str) -> None:
        """Folders are but the beginning of keys here."""

    def rows(self, key: str) -> Rows:
        content = self.files[key]
        assert isinstance(content, tuple)
        return content

    def labels(self, key: str) -> Labels:
        content = self.files[key]
        assert isinstance(content, Labels)
        return content

    def numbers(self, key: str) -> Numbers:
        content = self.files[key]
        assert isinstance(content, Numbers)
        return content

    def counting(self, file: Fragments) -> Iterator[Row]:
        """The rows of a file that count in the snapshot it is of, as the engine is told."""
        numbers = {source.number for source in file.all_sources}
        return (row for row in self.rows(file.key) if row.number in numbers)
