"""The process that looks up profiles: one order after the other, until its parent closes the pipe.

Unlike the children of jobs it stays, because opening files is most of a look-up's work. It has no
database and no network; its parent ends it when one order takes too long.
"""

from __future__ import annotations

import service.engine.lean_start  # noqa: F401

# isort: split
import sys
import traceback
from pathlib import Path

import pyarrow as pa

from catalog.errors import NotFound
from service.engine import channel
from service.engine.leash import die_with_parent
from service.engine.looking_up import look_up
from service.engine.lookup_orders import Found, LookupOrder
from service.engine.open_store import OpenStore
from service.engine.orders import Failed
from service.engine.watching import limit_growth
from service.storage.files import Files


def main(root: str, memory_bytes: str) -> None:
    """Answer orders from standard input, with the files under ``root``.

    ``memory_bytes`` is what orders may take of its own memory; it ends when they need more.
    """
    die_with_parent()
    pa.set_cpu_count(1)
    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own would fill an arena it has already
    limit_growth(int(memory_bytes))
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not reach the frames
    replies.write(channel.ALIVE)
    replies.flush()
    store = OpenStore(Files(Path(root)))
    while (body := channel.receive(requests)) is not None:
        replies.write(channel.frame(_reply(LookupOrder.model_validate_json(body), store)))
        replies.flush()
        store.let_go()


def _reply(order: LookupOrder, store: OpenStore) -> Found | Failed:
    try:
        return look_up(order, store)
    except NotFound as missing:
        # A newer snapshot no longer has the file, and the sweeper was here.
        return Failed(code=missing.code, message=str(missing), is_final=False)
    except MemoryError:
        message = "looking up takes more memory than it may"
        return Failed(code="too_much_memory", message=message, is_final=True)
    except Exception:  # noqa: BLE001  # the last resort: the trace is ours, the parent needs a word
        traceback.print_exc()
        message = "the look-up failed; the log has the details"
        return Failed(code="engine_failed", message=message, is_final=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
