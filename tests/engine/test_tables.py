"""Tables: flat rows as CSV and as lines of JSON, byte by byte."""

import csv
import io
import json
from datetime import UTC, date, datetime

import pytest

from catalog.errors import InvalidField
from catalog.schemas import Field, Kind
from catalog.user_lists import Charset, ListFormat
from tests.engine.builders import (
    STITCHED,
    a_batch,
    an_event_batch,
    an_object,
    an_order,
    named,
    text,
)
from tests.engine.tables import a_table, every, export_table, last, leaf

FIELDS = (
    text("first"),
    Field("age", Kind.INTEGER),
    Field("score", Kind.DOUBLE),
    Field("vip", Kind.BOOLEAN),
    Field("born", Kind.DATE),
    Field("seen", Kind.TIMESTAMP),
    Field("likes", Kind.ARRAY, element=text("element")),
    Field("sizes", Kind.ARRAY, element=Field("element", Kind.LONG)),
    an_object("person", text("gender")),
)


def an_order_for(store, *batches, **changes):
    files = tuple(file for batch in batches for file in store.put(batch))
    return an_order(batches, files=files, **{"identity_graph": STITCHED, **changes})


def people(*rows):
    """Records of one data set; each row its identities and its leaves."""
    return a_batch(
        "crm", 1, *({"identityMap": named(*ids), **row} for ids, row in rows), fields=FIELDS
    )


def test_every_present_value_is_quoted_and_null_is_bare(store):
    order = an_order_for(
        store,
        people(
            (["crm:C001"], {"first": "男", "age": 3}),
            (["crm:C004"], {"first": 'a "b", c'}),
        ),
    )
    table = a_table(last("id_$basic_userId", "CRM"), leaf("usr_first", "first"), leaf("a", "age"))
    lines = export_table(store, order, "x", table=table).text.splitlines()
    assert lines[0] == '"gio_id","id_$basic_userId","usr_first","a"'
    assert {line.partition(",")[2] for line in lines[1:]} == {
        '"C001","男","3"',
        '"C004","a ""b"", c",',
    }
    assert {line.partition(",")[0] for line in lines[1:]} == {'"1"', '"2"'}


def test_a_table_of_numbers_alone_has_one_column(store):
    order = an_order_for(store, people((["crm:1"], {"first": "x"})))
    assert export_table(store, order, "x", table=a_table()).text == '"gio_id"\n"1"\n'


def test_columns_may_be_headed_by_names_with_quotes_in_them(store):
    order = an_order_for(store, people((["crm:1"], {"first": "x"})))
    table = a_table(leaf("usr_first", "first", header='名"称'))
    assert export_table(store, order, "x", table=table).text == '"gio_id","名""称"\n"1","x"\n'


def test_values_of_other_types_and_lists_are_texts_in_csv(store):
    row = {
        "score": 1.5,
        "vip": True,
        "born": date(1990, 1, 31),
        "seen": datetime(2021, 1, 25, 9, 1, 38, tzinfo=UTC),
        "likes": ["a", 'b "c"', "d\\e\n\x01"],
        "sizes": [1, 2],
    }
    order = an_order_for(store, people((["crm:1"], row)))
    paths = ("score", "vip", "born", "seen", "likes", "sizes")
    written = export_table(store, order, "x", table=a_table(*(leaf(p, p) for p in paths)))
    _, values = csv.reader(io.StringIO(written.text))
    assert values[1:5] == ["1.5", "true", "1990-01-31", "2021-01-25 09:01:38.000000Z"]
    assert json.loads(values[5]) == row["likes"]
    assert json.loads(values[6]) == [1, 2]


def test_lines_of_json_part_identities_from_properties_and_have_nulls(store):
    order = an_order_for(
        store,
        people(
            (["crm:C1", "email:b@x", "email:a@x"], {"first": "男", "likes": ['"', "\x02"]}),
        ),
    )
    table = a_table(
        last("id_$crm", "CRM"),
        every("ids_$email", "Email"),
        leaf("usr_first", "first"),
        leaf("usr_likes", "likes"),
        leaf("tag_age", "age"),
        format=ListFormat.JSON,
    )
    text = export_table(store, order, "x", table=table).text
    assert text.startswith('{"gio_id":1,"identifications":{"id_$crm":"C1","ids_$email":["a@x"')
    assert json.loads(text) == {
        "gio_id": 1,
        "identifications": {"id_$crm": "C1", "ids_$email": ["a@x", "b@x"]},
        "properties": {"usr_first": "男", "usr_likes": ['"', "\x02"], "tag_age": None},
    }


def test_a_line_of_json_has_the_number_alone_when_nothing_else_was_asked_for(store):
    order = an_order_for(store, people((["crm:1"], {"first": "x"})))
    table = a_table(format=ListFormat.JSON)
    assert export_table(store, order, "x", table=table).text == '{"gio_id":1}\n'


def test_the_last_identity_is_that_of_the_newest_batch_then_the_first_in_byte_order(store):
    order = an_order_for(
        store,
        a_batch("crm", 1, {"identityMap": named("crm:1", "email:new@x"), "first": "x"}),
        a_batch("crm", 3, {"identityMap": named("crm:1", "email:b@x", "email:c@x")}),
        a_batch("crm", 2, {"identityMap": named("crm:1", "email:a@x")}),
    )
    table = a_table(last("last", "email"), every("all", "EMAIL"))
    (row,) = csv.DictReader(io.StringIO(export_table(store, order, "x", table=table).text))
    assert row["last"] == "b@x"
    assert json.loads(row["all"]) == ["a@x", "b@x", "c@x", "new@x"]


def test_of_one_batch_the_last_identity_is_one_that_rows_are_about(store):
    order = an_order_for(
        store,
        a_batch(
            "crm",
            1,
            {"identityMap": named("email:z@x", "crm:1")},
            {"identityMap": named("crm:1", "email:a@x")},
        ),
    )
    table = a_table(last("last", "email"))
    assert '"z@x"' in export_table(store, order, "x", table=table).text


def test_a_compaction_changes_no_byte(store):
    batches = [
        a_batch(
            "crm",
            n,
            *(
                {"identityMap": named(f"crm:{(n * 7 + k) % 9}", f"email:{k}@{n}"), "first": f"{n}"}
                for k in range(6)
            ),
        )
        for n in range(1, 5)
    ]
    order = an_order_for(store, *batches)
    table = a_table(last("l", "email"), every("a", "email"), leaf("f", "first"))
    before = export_table(store, order, "before", table=table)
    kinds = {file.kind for file in order.files}
    compacted = tuple(
        one
        for kind in sorted(kinds)
        for one in store.compact([file for file in order.files if file.kind is kind], added=9)
    )
    after = export_table(store, order, "after", table=table, files=compacted)
    assert after.whole == before.whole


def test_profiles_without_a_value_of_the_tag_are_left_out(store):
    order = an_order_for(
        store,
        people(
            (["crm:1"], {"first": "x", "likes": ["a"]}),
            (["crm:2"], {"first": "y", "likes": []}),
            (["crm:3"], {"first": "z"}),
        ),
    )
    table = a_table(leaf("f", "first"), having=("likes",))
    written = export_table(store, order, "x", table=table)
    assert [line.partition(",")[2] for line in written.text.splitlines()] == ['"f"', '"x"']
    assert sum(part.counters["profiles"] for part in written.parts) == 1


def test_leaves_below_objects_are_columns(store):
    order = an_order_for(store, people((["crm:1"], {"person": {"gender": "男"}})))
    table = a_table(leaf("usr_gender", "person.gender"))
    assert export_table(store, order, "x", table=table).text.endswith('"1","男"\n')


def test_the_guard_puts_an_apostrophe_before_texts_that_spreadsheets_take_for_formulas(store):
    rows = {"=1+1": "'=1+1", "-x": "'-x", "+x": "'+x", "@x": "'@x", "\tx": "'\tx", "x=1": "x=1"}
    order = an_order_for(
        store,
        people(*(([f"crm:{n}"], {"first": raw, "age": -1}) for n, raw in enumerate(rows))),
    )
    columns = (leaf("f", "first"), leaf("age", "age"))
    bare = export_table(store, order, "bare", table=a_table(*columns)).text
    safe = export_table(store, order, "safe", table=a_table(*columns, is_guarded=True)).text
    assert {row["f"] for row in csv.DictReader(io.StringIO(bare))} == set(rows)
    found = list(csv.DictReader(io.StringIO(safe)))
    assert {row["f"] for row in found} == set(rows.values())
    assert {row["age"] for row in found} == {"-1"}


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        (Charset.UTF_8, "utf-8"),
        (Charset.UTF_8_MARKED, "utf-8-sig"),
        (Charset.UTF_16LE, "utf-16"),
        (Charset.GBK, "gbk"),
        (Charset.GB18030, "gb18030"),
    ],
)
def test_every_charset_says_the_same(store, charset, codec):
    order = an_order_for(store, people((["crm:1"], {"first": "男、中文"}), (["crm:2"], {})))
    columns = (leaf("f", "first", header="性别"),)
    plain = export_table(store, order, "plain", table=a_table(*columns)).text
    written = export_table(store, order, "x", table=a_table(*columns, charset=charset))
    assert written.whole.decode(codec) == plain


def test_a_character_that_the_charset_lacks_names_the_column(store):
    order = an_order_for(store, people((["crm:1"], {"first": "😀"})))
    table = a_table(leaf("usr_first", "first"), charset=Charset.GBK)
    with pytest.raises(InvalidField, match=r"GBK lacks the character '😀' .* usr_first has"):
        export_table(store, order, "x", table=table)


def test_only_the_first_part_has_a_mark_and_a_header(store):
    rows = [(f"crm:{n}",) for n in range(400)]
    batch = people(*((ids, {"first": f"name {ids[0]}"}) for ids in rows))
    files = tuple(store.put(batch, depth=3))
    order = an_order([batch], files=files, identity_graph=STITCHED)
    columns = (leaf("f", "first"), last("id", "crm"))
    cut = {"slice_size_bytes": 4000, "part_size_bytes": 2000, "part_row_count": 50}
    table = a_table(*columns, charset=Charset.UTF_8_MARKED)
    written = export_table(store, order, "x", table=table, **cut)
    assert len(written.pieces) > 2
    assert [piece.startswith(b"\xef\xbb\xbf") for piece in written.pieces] == [
        n == 0 for n in range(len(written.pieces))
    ]
    whole = export_table(store, order, "whole", table=table)
    assert written.whole == whole.whole
    assert written.whole.count(b"gio_id") == 1


def test_an_empty_table_is_its_header(store):
    order = an_order_for(store, people((["crm:1"], {"first": "x"})))
    table = a_table(leaf("f", "first"), having=("likes",))
    assert export_table(store, order, "x", table=table).text == '"gio_id","f"\n'


def test_users_that_have_events_alone_are_not_in_a_table(store):
    order = an_order_for(
        store,
        people((["crm:1"], {"first": "x"})),
        an_event_batch("web", 2, {"_id": "e", "identityMap": named("web:9")}),
    )
    assert export_table(store, order, "x", table=a_table()).text.count("\n") == 2
