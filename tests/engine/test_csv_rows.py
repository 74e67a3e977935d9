"""CSV uploads: headers, cells, and files that are not what they should be."""

from __future__ import annotations

from datetime import date

import pytest

from catalog.errors import Invalid
from catalog.schemas import IDENTITY_MAP, Field
from service.engine import csv_rows
from service.engine.csv_rows import CsvReader
from service.engine.orders import Reading
from service.engine.rows import EMPTY_FILE, EMPTY_HEADER, UNREADABLE_ROW, together
from service.engine.uploads import Upload
from tests.engine.intake import DAY, FLAG, LONG, NUMBER, TEXT, Intake, a_list, an_object
from tests.samples import sample

FIELDS = (
    Field("id", LONG),
    an_object("person", an_object("name", Field("first", TEXT)), Field("birthDate", DAY)),
    Field("vip", FLAG),
)


def test_a_header_names_fields_by_their_dotted_path(intake: Intake) -> None:
    content = b"id,person.name.first,person.birthDate,vip\n7,Zo\xc3\xab,2004-09-25,TRUE\n"
    expected = {
        "id": 7,
        "person": {"name": {"first": "Zoë"}, "birthDate": date(2004, 9, 25)},
        "vip": True,
    }
    assert intake.accepted(content, *FIELDS, format="csv") == [expected]


def test_an_empty_cell_is_an_absent_field_and_so_is_an_object_of_them(intake: Intake) -> None:
    content = b'id,person.name.first,person.birthDate\n1,,2004-09-25\n2,"",\n,x,\n'
    assert intake.accepted(content, *FIELDS, format="csv") == [
        {"id": 1, "person": {"birthDate": date(2004, 9, 25)}},
        {"id": 2},
        {"person": {"name": {"first": "x"}}},
    ]


def test_words_that_other_programs_take_for_nothing_are_texts(intake: Intake) -> None:
    content = b"person.name.first\nNA\nnull\nNaN\n"
    found = intake.accepted(content, *FIELDS, format="csv")
    assert [row["person"]["name"]["first"] for row in found] == ["NA", "null", "NaN"]


def test_quoted_cells_hold_delimiters_quotes_and_lines(intake: Intake) -> None:
    content = b'\xef\xbb\xbfid,person.name.first\r\n1,"a, ""b""\r\nc"\r\n\r\n2,5" pipe\r\n'
    found = intake.accepted(content, *FIELDS, format="csv")
    assert [row["person"]["name"]["first"] for row in found] == ['a, "b"\r\nc', '5" pipe']


def test_delimiter_quote_and_escape_are_as_the_batch_says(intake: Intake) -> None:
    content = b"id;person.name.first\n1;'a;b'\n2;c\\;d\n"
    reading = {"delimiter": ";", "quote": "'", "escape": "\\"}
    found = intake.accepted(content, *FIELDS, format="csv", reading=reading)
    assert [row["person"]["name"]["first"] for row in found] == ["a;b", "c;d"]


def test_columns_the_schema_lacks_are_left_out_and_named(intake: Intake) -> None:
    promoted = intake.promote(b"id,person,extra,\n1,2,3,4\n", *FIELDS, format="csv")
    assert promoted.ignored_fields == ("extra", "person")
    assert intake.rows(promoted) == [{"id": 1}]


def test_a_header_without_rows_is_a_batch_without_rows(intake: Intake) -> None:
    assert intake.accepted(b"id,vip", *FIELDS, format="csv") == []


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", (0, EMPTY_FILE, "the file is empty")),
        (b"\n\n", (0, EMPTY_FILE, "the file is empty")),
        (b",,\n1,2,3\n", (0, EMPTY_HEADER, "the header names no field")),
        (b"id,id\n1,2\n", (0, UNREADABLE_ROW, "the header names id twice")),
        (b"l\n1\n", (0, UNREADABLE_ROW, "l holds a list or a map: CSV cannot")),
        (
            b"identityMap\n{}\n",
            (0, UNREADABLE_ROW, "identityMap holds a list or a map: CSV cannot"),
        ),
        (b'id,vip\n1,"true\n2,false\n', (0, UNREADABLE_ROW, "a quote is opened and never closed")),
    ],
)
def test_a_file_that_cannot_be_divided_into_rows_is_refused(
    intake: Intake, content: bytes, refusal: tuple[int, str, str]
) -> None:
    fields = (*FIELDS, a_list("l", Field("", LONG)), IDENTITY_MAP)
    assert intake.refusal(content, *fields, format="csv") == refusal


def test_rows_of_another_width_are_refused_by_their_number(intake: Intake) -> None:
    content = b"id,vip\n1,true\n2\n3,true,4\n5,false\n"
    promoted = intake.promote(content, *FIELDS, format="csv")
    assert [(error.row, error.message) for error in promoted.errors] == [
        (2, "1 cells where the header has 2"),
        (3, "3 cells where the header has 2"),
    ]
    assert (promoted.input_row_count, promoted.failed_row_count) == (4, 2)


def test_cells_that_do_not_fit_are_refused_by_their_number(intake: Intake) -> None:
    content = b'id,person.name.first\n1,a\nx,"b\nb"\n3,\xff\n4,\0\n'
    promoted = intake.promote(content, *FIELDS, format="csv")
    assert [(error.row, error.message) for error in promoted.errors] == [
        (2, "id: a text where a whole number of 64 bits is expected"),
        (3, "the row is not UTF-8"),
    ]


def test_a_row_beyond_all_measure_is_refused(intake: Intake) -> None:
    content = b'id,person.name.first\n1,"' + b"x" * (20 << 20) + b'"\n'
    row, code, message = intake.refusal(content, *FIELDS, format="csv")
    assert (row, code) == (0, UNREADABLE_ROW)
    assert message.startswith("a row is longer than 8,388,608 bytes")


@pytest.mark.parametrize("mark", ["", ";;", "é"])
def test_a_delimiter_must_be_one_character(intake: Intake, mark: str) -> None:
    with pytest.raises(Invalid, match="one ASCII character"):
        intake.promote(b"id\n1\n", *FIELDS, format="csv", reading={"delimiter": mark})


@pytest.mark.parametrize("mark", ["quote", "escape"])
def test_a_delimiter_means_nothing_else(intake: Intake, mark: str) -> None:
    reading = {"delimiter": ";", mark: ";"}
    with pytest.raises(Invalid, match="delimiter ';': quote and escape must be others"):
        intake.promote(b"id;n\n1;2\n", *FIELDS, format="csv", reading=reading)


def test_the_size_of_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"id,vip\n" + b"".join(b"%d,%s\n" % (n, b"true" * (n % 7 > 0)) for n in range(99))
    content += b"short\n" + b"7,false\n" * 20

    class Source:
        def __init__(self) -> None:
            self.left = content

        def read(self, size: int, /) -> bytes:
            data, self.left = self.left[:size], self.left[size:]
            return data

    reader = CsvReader(FIELDS, Reading(format="csv"))  # type: ignore[arg-type]
    whole = together(step.work() for step in reader.work(Source()))
    for size in (32, 100, 1000):
        monkeypatch.setattr(csv_rows, "BLOCK_BYTES", size)
        parts = together(step.work() for step in reader.work(Source()))
        assert parts.table.combine_chunks().equals(whole.table.combine_chunks())
        assert parts.numbers.tolist() == whole.numbers.tolist()
        assert parts.flaws == whole.flaws


def test_the_sample_customers_are_read_as_they_are(intake: Intake) -> None:
    names = ["F_NAME", "DOB", "YOB", "LAT"]
    fields = [Field(n, k) for n, k in zip(names, [TEXT, TEXT, LONG, NUMBER], strict=True)]
    content = sample("etl-reference/CRM_profiles.csv").read_bytes()
    found = intake.accepted(content, *fields, format="csv")
    assert len(found) == 259
    assert found[0] == {"F_NAME": "Ewart", "DOB": "2004-09-25", "YOB": 2004, "LAT": 33.708276}


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 7, 1 << 20])
def test_rows_that_are_not_utf_8_are_refused_and_told_wherever_a_block_ends(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    read = Upload.read
    monkeypatch.setattr(Upload, "read", lambda self, size: read(self, min(size, block_bytes)))
    content = (
        "id,person.name.first\n1,é\n2,日本\U0010ffff\n".encode() + b"3,\xff\n\xe9,b\n5,\xf0\x9f"
    )
    promoted = intake.promote(content, *FIELDS, format="csv", tolerated_percentage=100)
    assert [(error.row, error.message) for error in promoted.errors] == [
        (2, "the row is not UTF-8"),
        (3, "the row is not UTF-8"),
        (4, "id: a text where a whole number of 64 bits is expected"),
        (5, "the row is not UTF-8"),
    ]
    assert [row["person"]["name"]["first"] for row in intake.rows(promoted)] == ["é"]


def test_rows_that_are_not_utf_8_and_of_another_width_are_refused(intake: Intake) -> None:
    content = b"id,person.name.first\n1,a,\xff\n\xff\n2,b\n"
    promoted = intake.promote(content, *FIELDS, format="csv", tolerated_percentage=100)
    assert [(error.row, error.message) for error in promoted.errors] == [
        (1, "3 cells where the header has 2"),
        (2, "1 cells where the header has 2"),
    ]
    assert [row["id"] for row in intake.rows(promoted)] == [2]


def test_formulas_are_texts_like_any_other(intake: Intake) -> None:
    cells = ["=1+1", "+1", "-1", "@x", "=cmd|'/C calc'!A0"]
    content = "person.name.first\n" + "\n".join(cells) + "\n"
    found = intake.accepted(content.encode(), *FIELDS, format="csv")
    assert [row["person"]["name"]["first"] for row in found] == cells
