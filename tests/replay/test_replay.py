"""What the contract documents is sent as it stands there, and answered as it promises."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse
from yarl import URL

from tests.acceptance.workbench import working
from tests.patience import PATIENCE_SECONDS
from tests.replay.exchanges import Exchange, Known, scenario
from tests.replay.sheet import listed
from tests.surfaces.client import HttpClient, adobe, operations, running, settings

__all__ = ["adobe", "operations", "running", "settings", "working"]

ADOBE = Path(__file__).parent / "adobe"
#: What every scenario begins with: people and their visits ingested, one export made of them.
PRELUDE = ADOBE / "prelude"
SCENARIOS = sorted(folder for folder in ADOBE.iterdir() if folder != PRELUDE)

#: What of the sheet is answered by no call of ours yet, and why.
LEFT_OUT = {
    "2 POST /": "deprecated by its own documents",
    "9 DELETE": "entities are removed with their batches and data sets",
    "12.2 `DataIngestion.streamMessage(s)`": "there is no streaming ingestion",
    "12.2 `QueryService.connection`": "there is no query service",
}


@pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)
async def test_documented_requests_get_documented_answers(adobe: HttpClient, working, folder: Path):
    known = Known(
        base=str(adobe.make_url("/")).rstrip("/"),
        organisation="OURS@AdobeOrg",
        client="client-of-OURS@AdobeOrg",
    )
    exchanges = (*scenario(PRELUDE), *scenario(folder))
    for is_idle, some in groupby(exchanges, lambda exchange: exchange.is_idle):
        async with nullcontext() if is_idle else working():
            for exchange in some:
                differences = await _replayed(adobe, exchange, known)
                assert not differences, "\n".join([f"{exchange.name}:", *differences])


def test_every_call_and_row_of_the_sheet_is_replayed():
    stood_for = {
        each
        for folder in (PRELUDE, *SCENARIOS)
        for exchange in scenario(folder)
        for each in exchange.stands_for
    }
    assert listed() - stood_for == LEFT_OUT.keys()
    assert stood_for <= listed()


async def _replayed(adobe: HttpClient, exchange: Exchange, known: Known) -> list[str]:
    """Send a request, again and again if it says so; return what is wrong with its answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await _sent(adobe, exchange, known)
            differences = await _differences(answer, exchange, known)
            if not differences or not exchange.is_repeated:
                return differences
            await asyncio.sleep(0.05)


async def _sent(adobe: HttpClient, exchange: Exchange, known: Known) -> ClientResponse:
    target = known.filled(exchange.target)
    headers = {name: known.filled(each) for name, each in exchange.headers.items()}
    if exchange.body:
        headers = {"Content-Type": "application/json", **headers}
    return await adobe.session.request(
        exchange.method,
        URL(
            str(adobe.make_url("/")).rstrip("/") + quote(target, safe="/?=&%:,!~<>*@$+;"),
            encoded=True,
        ),
        headers={"Accept": "application/json", **headers},
        data=known.filled(exchange.body).encode() or None,
        skip_auto_headers=["Content-Type"],
    )


async def _differences(answer: ClientResponse, exchange: Exchange, known: Known) -> list[str]:
    body = await answer.read()
    if answer.status != exchange.status:
        return [f"{answer.status} instead of {exchange.status}: {body[:1000]!r}"]
    wrong = known.of_body(exchange.answered_body, body)
    for name, expected in exchange.answered_headers.items():
        wrong += known.differences(expected, answer.headers.get(name), name)
    return wrong
