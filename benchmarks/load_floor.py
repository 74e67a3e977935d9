"""The floor of ``load.py``: what a bare aiohttp handler with asyncpg does on the same PostgreSQL.

One handler inserts a row in a transaction of its own, one selects a row by its key. No check of
the caller, no log, no metrics: whatever a service does more than this costs something.
"""

from __future__ import annotations

import asyncio
import json
import sys

import asyncpg
import uvloop
from aiohttp import web

POOL = web.AppKey("pool", asyncpg.Pool)

TABLE = """
CREATE TABLE IF NOT EXISTS load_floor (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now())
"""


async def create(request: web.Request) -> web.Response:
    body = await request.text()
    async with request.app[POOL].acquire() as connection, connection.transaction():
        id = await connection.fetchval(
            "INSERT INTO load_floor (body) VALUES ($1) RETURNING id", body
        )
    return web.json_response({"id": id})


async def read(request: web.Request) -> web.Response:
    row = await request.app[POOL].fetchrow(
        "SELECT id, body, created_at FROM load_floor WHERE id = $1",
        int(request.match_info["id"]),
    )
    return web.json_response(
        {"id": row["id"], "body": json.loads(row["body"]), "at": row["created_at"].isoformat()}
    )


async def main() -> None:
    """Serve until standard input ends; say on which port."""
    where, connections = json.loads(sys.argv[1]), int(sys.argv[2])
    async with asyncpg.create_pool(**where, min_size=1, max_size=connections) as pool:
        await pool.execute(TABLE)
        app = web.Application()
        app[POOL] = pool
        app.router.add_post("/things", create)
        app.router.add_get("/things/{id}", read)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await runner.cleanup()
        await pool.execute("DROP TABLE load_floor")


if __name__ == "__main__":
    uvloop.run(main())
