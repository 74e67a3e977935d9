"""The named SQL: every block fits the schema, and the loader keeps its promises."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import pairwise
from pathlib import Path

import pytest

from catalog import store
from catalog.store.database import Connection
from catalog.store.queries import Query, _parse, beside

STORES = [
    importlib.import_module(module.name)
    for module in pkgutil.iter_modules(store.__path__, "catalog.store.")
]
EVERY_BLOCK = [
    pytest.param(query, id=f"{module.__name__}.{query.name}")
    for module in STORES
    for query in getattr(module, "SQL", {}).values()
]


@pytest.mark.parametrize("query", EVERY_BLOCK)
async def test_every_block_fits_the_schema(db: Connection, query: Query):
    assert query.text
    statement = await db.prepare(query.text)
    assert len(statement.get_parameters()) == len(query.parameters)


def test_every_sql_file_is_read_by_the_module_beside_it():
    files = {path.stem for path in Path(store.__file__).parent.glob("*.sql")}
    read = {module.__name__.rpartition(".")[2] for module in STORES if hasattr(module, "SQL")}
    assert files == read


def test_every_block_says_what_it_does():
    for path in Path(store.__file__).parent.glob("*.sql"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for heading, sentence in pairwise(lines):
            if heading.startswith("-- name:"):
                assert sentence.startswith("-- "), f"{path.name}: {heading}"


def test_names_become_numbers_and_casts_stay():
    query = _parse("q", "-- A sentence: with a colon.\nSELECT :b::text, :a, :b")
    assert query.text == "SELECT $1::text, $2, $1"
    assert query.parameters == ("b", "a")


async def test_a_missing_or_unknown_argument_is_refused(db: Connection):
    query = _parse("q", "SELECT :a::text")
    with pytest.raises(TypeError, match=r"q takes \('a',\)"):
        await query.row(db)
    with pytest.raises(TypeError, match=r"q takes \('a',\)"):
        await query.row(db, a="x", b="y")


async def test_a_block_runs_with_its_arguments_by_name(db: Connection):
    query = _parse("q", "SELECT :b::text || :a::text AS both")
    assert [dict(row) for row in await query.rows(db, a="x", b="y")] == [{"both": "yx"}]


def test_a_file_with_blocks_of_one_name_is_refused(tmp_path: Path):
    (tmp_path / "things.sql").write_text("-- name: a\n-- One.\nSELECT 1\n\n-- name: a\nSELECT 2\n")
    with pytest.raises(ValueError, match="a is there twice"):
        beside(str(tmp_path / "things.py"))
