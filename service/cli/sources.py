"""Files of this machine that are to become a data set: which they are and how they name people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalog.batches import FileFormat
from catalog.errors import Invalid
from catalog.schemas import IdentityDescriptor
from service.engine import peek

FORMATS = {
    ".json": FileFormat.JSON,
    ".jsonl": FileFormat.JSON,
    ".ndjson": FileFormat.JSON,
    ".csv": FileFormat.CSV,
    ".parquet": FileFormat.PARQUET,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of one batch. All are of one format, as a batch has but one."""

    #: What the names of the uploads are relative to.
    root: Path
    paths: tuple[Path, ...]
    format: FileFormat
    #: Files of the folder that are of no format we know.
    skipped: tuple[Path, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.paths)

    def upload_name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def rows(self) -> Iterator[peek.Row]:
        """Every row, in the order in which the service will number them."""
        for path in sorted(self.paths, key=lambda each: self.upload_name(each).encode()):
            yield from peek.rows(path, self.format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One data set to be."""

    name: str
    files: Files
    #: Whether its rows are events rather than records.
    is_event: bool
    #: Fields that name people. May be empty where rows carry an ``identityMap``.
    identities: tuple[IdentityDescriptor, ...]


def find_files(path: Path, format: FileFormat | None = None) -> Files:
    """Find what a file or a folder holds; of a folder all files, those of its folders included.

    The format is told by the names, unless it is given. Refuses nothing at all and mixed formats.
    Files whose name opens with a dot or an underscore are nobody's data.
    """
    if path.is_file():
        return Files(root=path.parent, paths=(path,), format=format or _format_of(path))
    if not path.is_dir():
        raise Invalid(f"{path}: no such file or folder")
    inside = sorted(
        each for each in path.rglob("*") if each.is_file() and not _is_hidden(each, path)
    )
    paths = tuple(each for each in inside if format or each.suffix.lower() in FORMATS)
    formats = {format} if format else {_format_of(each) for each in paths}
    if not paths:
        raise Invalid(f"{path}: no file in it ends in {_endings()}")
    if len(formats) > 1:
        names = " and ".join(sorted(each.value for each in formats if each))
        raise Invalid(f"{path} holds {names} files: a batch has one format, so ingest them apart")
    return Files(
        root=path,
        paths=paths,
        format=format or _format_of(paths[0]),
        skipped=tuple(each for each in inside if each not in paths),
    )


def identity(text: str) -> IdentityDescriptor:
    """Read ``FIELD=NAMESPACE[:primary]``, as the command line and ``identities.json`` write it."""
    field, equals, namespace = text.partition("=")
    namespace, colon, mark = namespace.partition(":")
    if not (field and equals and namespace) or (colon and mark != "primary"):
        raise Invalid(f"{text!r} is not FIELD=NAMESPACE or FIELD=NAMESPACE:primary")
    return IdentityDescriptor(
        path=tuple(field.split(".")), namespace=namespace, is_primary=bool(colon)
    )


def with_a_primary(identities: tuple[IdentityDescriptor, ...]) -> tuple[IdentityDescriptor, ...]:
    """Make the first identity the primary one when none was said to be. Refuses two."""
    marked = sum(each.is_primary for each in identities)
    if marked > 1:
        raise Invalid("only one identity can be primary")
    if marked or not identities:
        return identities
    first, *others = identities
    first = IdentityDescriptor(path=first.path, namespace=first.namespace, is_primary=True)
    return (first, *others)


def _format_of(path: Path) -> FileFormat:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise Invalid(f"{path.name}: its name does not end in {_endings()}; say --format") from None


def _endings() -> str:
    *others, last = FORMATS
    return f"{', '.join(others)} or {last}"


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(root).parts)
