"""``make chaos``: ``KILLS`` signals after the plan of ``SEED``; ends with 1 on any violation."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from tests.chaos.plan import plan
from tests.chaos.siege import besiege


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    number = os.environ.get
    parser.add_argument("--seed", type=int, default=int(number("SEED", "1")))
    parser.add_argument("--kills", type=int, default=int(number("KILLS", "100")))
    parser.add_argument("--plan", action="store_true", help="print the plan and do nothing")
    parser.add_argument("--folder", type=Path, help="where logs and data lie; they stay there")
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {asked.kills} kills", flush=True)
    for attack in plan(asked.seed, asked.kills) if asked.plan or asked.kills <= 50 else ():
        print(attack, flush=True)
    if asked.plan:
        return 0
    report = asyncio.run(
        besiege(
            seed=asked.seed,
            kills=asked.kills,
            folder=asked.folder,
            say=lambda line: print(line, flush=True),
        )
    )
    page = report.save()
    print(report.page(), flush=True)
    print(f"written to {page}", flush=True)
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
