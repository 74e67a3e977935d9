"""Files of batches as Adobe writes them: section 4 of the contract sheet.

Numbers are strings there, except those that count the page itself; links are absolute.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote

from pydantic import Field

from catalog.batches import BatchId, DatasetFile, MetaFile
from catalog.errors import NotFound
from service.operations.data_access import FilePage
from service.surfaces.adobe.wire import Wire
from service.surfaces.adobe.wire.batches import milliseconds

#: Where the API lies on its host.
EXPORT: Final = "/data/foundation/export"

_FILE_ID = re.compile(r"(.+)-([1-9][0-9]{0,8})")


class Page(Wire):
    """The query of a listing. A hundred is both what is given unasked and the most."""

    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=100)] = 100


def file_id(file: DatasetFile) -> str:
    return f"{file.batch_id}-{file.number}"


def parse_file_id(text: str) -> tuple[BatchId, int]:
    """The batch and the number a file id is made of; anything else is the id of no file."""
    match = _FILE_ID.fullmatch(text)
    if match is None:
        raise NotFound("file", text)
    return BatchId(match[1]), int(match[2])


def batch_files(batch_id: str, found: FilePage, asked: Page, host: str) -> dict[str, Any]:
    """One page of a batch's files."""
    return _page(
        [_entry(file, host) for file in found.files],
        asked,
        total=found.total_count,
        here=f"{host}{EXPORT}/batches/{quote(batch_id, safe='')}/files",
    )


def single_file(file: DatasetFile, asked: Page, host: str) -> dict[str, Any]:
    """What a file id stands for: here always one file, never a folder."""
    here = f"{host}{EXPORT}/files/{quote(file_id(file), safe='')}"
    entry = {
        "name": file.name,
        "length": str(file.size_bytes),
        "_links": {"self": {"href": f"{here}?path={quote(file.name, safe='')}"}},
    }
    return _page([entry][asked.start :], asked, total=1, here=here)


class Folder(NamedTuple):
    """Where files beside those of a batch are found: ``meta`` or ``failed``."""

    batch_id: str
    name: str


def meta_files(
    folder: Folder, files: Sequence[MetaFile], below: str | None, asked: Page, host: str
) -> dict[str, Any]:
    """One page of what lies below a path, or at the top; folders are 0 long."""
    here = f"{host}{EXPORT}/batches/{quote(folder.batch_id, safe='')}/{folder.name}"
    prefix = f"{below}/" if below else ""
    lengths: dict[str, int] = {}
    for file in files:
        name, _, rest = file.path.removeprefix(prefix).partition("/")
        lengths[name] = 0 if rest else file.size_bytes
    entries = [
        {
            "name": name,
            "length": str(length),
            "_links": {"self": {"href": f"{here}?path={quote(prefix + name, safe='')}"}},
        }
        for name, length in lengths.items()
    ]
    some = entries[asked.start : asked.start + asked.limit]
    query = f"path={quote(below, safe='')}&" if below else ""
    return _page(some, asked, total=len(entries), here=here, query=query)


def _entry(file: DatasetFile, host: str) -> dict[str, Any]:
    created = str(milliseconds(file.created_at))
    return {
        "dataSetFileId": file_id(file),
        "dataSetViewId": file.dataset_id,
        "version": "1.0.0",
        "created": created,
        "updated": created,
        "isValid": True,
        "records": str(file.row_count),
        "size": str(file.size_bytes),
        "_links": {"self": {"href": f"{host}{EXPORT}/files/{quote(file_id(file), safe='')}"}},
    }


def _page(
    entries: list[dict[str, Any]], asked: Page, *, total: int, here: str, query: str = ""
) -> dict[str, Any]:
    page: dict[str, Any] = {"data": entries, "_page": {"limit": asked.limit, "count": total}}
    if total <= asked.limit:
        return page
    links: dict[str, Any] = {
        "page": {"href": f"{here}?{query}start={{start}}&limit={{limit}}", "templated": True}
    }
    following = asked.start + asked.limit
    if following < total:
        links["next"] = {"href": f"{here}?{query}start={following}&limit={asked.limit}"}
    return {**page, "_links": links}
