"""Previews of batches under ingestion as Adobe writes them: section 3 of the contract sheet."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from catalog.batches import FileFormat
from catalog.errors import InvalidField
from service.operations.previews import Look, Preview
from service.surfaces.adobe.wire import Wire
from service.surfaces.adobe.wire.batches import Character, is_utf8, lowered

#: What is shown when nobody says how many, as many clients do not.
_ROWS = 10


class AskedPreview(Wire):
    """The query of a preview. What it leaves out is as the batch says."""

    format: Annotated[FileFormat | None, BeforeValidator(lowered)] = None
    is_multi_line_json: bool | None = None
    delimiter: Character | None = None
    quote: Character | None = None
    escape: Character | None = None
    charset: str | None = None
    header: bool = True
    nrow: Annotated[int, Field(ge=0, le=100)] = 0

    def look(self) -> Look:
        if self.charset and not is_utf8(self.charset):
            raise InvalidField("charset", f"{self.charset!r}: only UTF-8 is read")
        return Look(
            format=self.format,
            delimiter=self.delimiter,
            quote=self.quote,
            escape=self.escape,
            has_header=self.header,
            row_count=self.nrow or _ROWS,
        )


def preview(shown: Preview) -> dict[str, Any]:
    """The first rows of a batch's files as an answer: columns by number, rows by column."""
    read_as = shown.input_format
    params: dict[str, Any] = {
        "format": read_as.format,
        "delimiter": read_as.delimiter,
        "quote": read_as.quote,
        "charset": "UTF-8",
        "header": shown.has_header,
    }
    if read_as.escape is not None:
        params["escape"] = read_as.escape
    return {
        "formatParams": params,
        "preview": {
            "columns": [
                {"cid": str(number), "name": name} for number, name in enumerate(shown.columns)
            ],
            "rows": [{str(number): text for number, text in row.items()} for row in shown.rows],
        },
    }
