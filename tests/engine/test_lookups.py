"""Children that stay: each look-up is answered, refused in time, or asked again."""

import asyncio
import sys
from datetime import timedelta

import pytest

from catalog.errors import Unavailable
from service.engine.lookup_orders import LookupOrder
from service.engine.lookups import FilesGone, LookupLimits, Lookups
from tests.engine.builders import Store, a_batch, an_order, key_of, named
from tests.patience import PATIENCE_SECONDS

PATIENCE = timedelta(seconds=PATIENCE_SECONDS)


@pytest.fixture
def order(tmp_path):
    batch = a_batch("crm", 1, {"identityMap": named("crm:1"), "first": "Ann"})
    export = an_order([batch], files=tuple(Store(tmp_path).put(batch)))
    return LookupOrder(export=export, identities=(f"{key_of(('crm', '1')):032x}",))


@pytest.fixture
async def lookups(tmp_path):
    limits = LookupLimits(children=1, memory_bytes=1 << 30, time=PATIENCE, idle=PATIENCE)
    made = Lookups(tmp_path, limits)
    yield made
    await made.close()


async def first_name(lookups, order):
    found = await lookups.ask(order)
    return found.profiles[0].entity["first"]


async def test_one_child_answers_one_look_up_after_the_other(lookups, order):
    assert await first_name(lookups, order) == "Ann"
    (child,) = lookups._idle
    assert await first_name(lookups, order) == "Ann"
    assert lookups._idle == [child]


async def test_a_child_that_died_is_replaced(lookups, order):
    await lookups.ask(order)
    (child,) = lookups._idle
    child.kill()
    await child.wait()
    assert await first_name(lookups, order) == "Ann"


async def test_files_that_were_swept_are_told_from_defects(lookups, order, tmp_path):
    (file,) = [file for file in order.export.files if file.kind == "records"]
    (tmp_path / file.key).unlink()
    with pytest.raises(FilesGone):
        await lookups.ask(order)


async def test_what_the_imports_reserved_is_not_held_against_a_look_up(tmp_path, order):
    modest = LookupLimits(children=1, memory_bytes=32 << 20, time=PATIENCE, idle=PATIENCE)
    lookups = Lookups(tmp_path, modest)
    assert await first_name(lookups, order) == "Ann"
    await lookups.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is only limited on Linux")
async def test_what_takes_too_much_memory_is_refused(tmp_path):
    batch = a_batch("crm", 1, {"identityMap": named("crm:1"), "first": "Ann" * (8 << 20)})
    export = an_order([batch], files=tuple(Store(tmp_path).put(batch)))
    order = LookupOrder(export=export, identities=(f"{key_of(('crm', '1')):032x}",))
    modest = LookupLimits(children=1, memory_bytes=8 << 20, time=PATIENCE, idle=PATIENCE)
    lookups = Lookups(tmp_path, modest)
    with pytest.raises(Unavailable, match="more memory"):
        await lookups.ask(order)
    await lookups.close()


async def test_what_takes_too_long_is_refused_and_the_start_goes_on(tmp_path, order, monkeypatch):
    start, may_start, starts = Lookups._start, asyncio.Event(), []

    async def start_late(lookups):
        starts.append(lookups)
        await may_start.wait()
        return await start(lookups)

    monkeypatch.setattr(Lookups, "_start", start_late)
    hasty = LookupLimits(
        children=1, memory_bytes=1 << 30, time=timedelta(milliseconds=1), idle=PATIENCE
    )
    lookups = Lookups(tmp_path, hasty)
    for _ in range(2):
        with pytest.raises(Unavailable, match="more than"):
            await lookups.ask(order)
    assert starts == [lookups]
    may_start.set()
    await lookups.close()


async def test_a_child_that_nobody_asks_ends(tmp_path, order):
    limits = LookupLimits(
        children=1, memory_bytes=1 << 30, time=PATIENCE, idle=timedelta(milliseconds=10)
    )
    lookups = Lookups(tmp_path, limits)
    await lookups.ask(order)
    (child,) = lookups._idle
    assert await asyncio.wait_for(child.wait(), PATIENCE_SECONDS) == 0
    assert lookups._idle == []
    assert await first_name(lookups, order) == "Ann"
    await lookups.close()
