"""The calls and rows that the contract sheet lists, read from the sheet beside the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SHEET = Path(__file__).parents[3] / "shared" / "contracts" / "adobe.md"

#: Sections whose tables and lists are of calls, and those that count row by row.
OF_CALLS = ("1.1", "2", "3", "4", "5", "6", "7", "8.1", "9")
OF_ROWS = ("1.8", "12.2", "12.4")

#: In the section on entities methods stand in sentences, each before its query or body.
_METHOD = re.compile(r"\b(GET|POST|DELETE)\b(?= `| by )")
_CALL = re.compile(r"`((?:GET|HEAD|POST|PUT|PATCH|DELETE)[ /][^`]*|…/[^`]*|\?action=\w+|POST)`")


@cache
def listed() -> frozenset[str]:
    """Every call and row as the files of a replay name it: its section, then its own words."""
    if not SHEET.exists():
        pytest.skip("the contract sheet is not beside this repository")
    return frozenset(
        f"{section} {each}"
        for section, text in _sections(SHEET.read_text(encoding="utf-8"))
        for each in _entries(section, text)
    )


def _sections(sheet: str) -> Iterator[tuple[str, str]]:
    parts = re.split(r"^##+ (\d+(?:\.\d+)?)\b.*$", sheet, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def _entries(section: str, text: str) -> Iterator[str]:
    if section in OF_ROWS:
        yield from _first_cells(text) if "|" in text else _items(text)
    elif section == "9":
        yield from _METHOD.findall(text)
    elif section in OF_CALLS:
        for line in _first_cells(text) or text.splitlines():
            yield from (found.replace("\\|", "|") for found in _CALL.findall(line))


def _first_cells(text: str) -> list[str]:
    """What stands in the first column of the tables, without the lines that head them."""
    rows = re.findall(r"^\|\s(.*?)\s\|", text, flags=re.MULTILINE)
    return [
        row
        for row in rows
        if not set(row) <= {"-", " ", "|"} and row not in {"call", "aepp", "matter"}
    ]


def _items(text: str) -> list[str]:
    """The beginnings of the items of a list: their first four words."""
    return [
        " ".join(item.split()[:4]) for item in re.findall(r"^\* (.*)$", text, flags=re.MULTILINE)
    ]
