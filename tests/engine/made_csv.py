"""CSV files by chance, in many dialects: cells that fit the schema or not, and changed files."""

from __future__ import annotations

import csv
import io
from random import Random

from catalog.batches import FileFormat
from service.engine.orders import Reading
from tests.engine.made_files import Made, changed

CSV = Reading(format=FileFormat.CSV)

FILES = [
    (
        b"crm,count,ratio,flag,day,at,person.name.first\n"
        b"1,7,0.5,true,2004-09-25,2022-11-22T12:00:00Z,Ann\n"
        b'2,,,,,,"a ""quoted"" one, with a comma"\n'
        b'3,1e3,1,FALSE,,2022-11-22,"over\ntwo lines"\n'
    ),
    b"\xef\xbb\xbfcrm,unheard,\r\n1,x,\r\n2,y,\r\n",
    b"crm;count\n1;2\n3;4\n",
]
MARKS = [",", ";", "\t", "|", '"', "'", "\\", "a", "\n", "\r", " ", "\x01"]
_PIECES = [
    *(
        b"\0",
        b'"',
        b'""',
        b"'",
        b"\\",
        b",",
        b";",
        b"\t",
        b"|",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b" ",
    ),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xef\xbb\xbf", b"\xf4\x8f\xbf\xbf"),
    *(
        b"NaN",
        b"1e999",
        b"=1+1",
        b"true",
        b"\x1eend of rows\x1e",
        b"crm",
        b"crm,crm\n",
        b",,,,,,,,",
    ),
    *(b",\xff\n", b'"\n', b'\n"', b'","', b"x" * 3_000, b"9" * 400, b"," * 300, b"\n" * 300),
]
_NAMES = ["crm", "count", "ratio", "flag", "day", "at", "person.name.first", "unheard", "", "tags"]
_CELLS = [
    *("", "1", "2", "-7", "0.5", "1e3", "true", "FALSE", "2004-09-25", "2022-11-22T12:00:00Z"),
    *("Ann", "é", "𝄞", ' "quoted" ', "a,b;c", "two\nlines", "=1+1", "NaN", "9" * 30, "null"),
]
#: Delimiters and quotes in which any cell can be written so that it is read as it was.
_SANE = {",", ";", "\t", "|"}, {'"', "'"}


def a_reading(rng: Random) -> Reading:
    """Choose a dialect: the usual one, one that somebody uses, or one of any marks."""
    chance = rng.random()
    if chance < 0.5:
        return CSV
    if chance < 0.75:
        marks = {"delimiter": rng.choice([",", ";", "\t", "|"]), "quote": rng.choice(['"', "'"])}
        return Reading(format=FileFormat.CSV, **marks)
    return Reading(
        format=FileFormat.CSV,
        delimiter=rng.choice(MARKS),
        quote=rng.choice(["", *MARKS]),
        escape=rng.choice([None, *MARKS]),
    )


def a_file(rng: Random, reading: Reading) -> Made:
    """Make rows that fit, or do not, changed or not; a changed sample; or any bytes."""
    chance = rng.random()
    if chance < 0.04:
        return Made(rng.choice([b"", b"crm,count\n"]) + rng.randbytes(rng.randint(0, 300)))
    if chance < 0.25:
        return Made(changed(rng.choice(FILES), FILES, _PIECES, rng))
    made = _written(rng, reading)
    if rng.random() < 0.3:
        return made
    if rng.random() < 0.02:
        return Made(made.content.decode().encode("utf-16"))
    return Made(changed(made.content, FILES, _PIECES, rng))


def _written(rng: Random, reading: Reading) -> Made:
    """Write rows in a dialect if it is one in which that can be done, else in the usual one."""
    is_sane = reading.delimiter in _SANE[0] and reading.quote in _SANE[1] and not reading.escape
    header = ["crm", *rng.sample(_NAMES[1:], rng.randint(0, 5))]
    if rng.random() < 0.02:
        header.append("crm")
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=reading.delimiter if is_sane else ",",
        quotechar=reading.quote if is_sane else '"',
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        lineterminator=rng.choice(["\n", "\n", "\r\n"]),
    )
    writer.writerow(header)
    row_count = rng.randint(0, 12)
    for _ in range(row_count):
        width = len(header) if rng.random() < 0.95 else rng.randint(1, 8)
        writer.writerow([rng.choice(_CELLS) for _ in range(width)])
    is_certain = is_sane and header.count("crm") == 1 and "tags" not in header
    return Made(text.getvalue().encode(), row_count if is_certain else None)
