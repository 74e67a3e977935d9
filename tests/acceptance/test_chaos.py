"""The service survives a short siege; ``make chaos`` lays long ones."""

from __future__ import annotations

import os
from pathlib import Path

from tests.chaos.plan import plan
from tests.chaos.siege import besiege

SEED = 7
KILLS = int(os.environ.get("CHAOS_KILLS", "40"))


async def test_forty_kills_lose_nothing_double_nothing_and_let_nobody_in(tmp_path: Path):
    report = await besiege(seed=SEED, kills=KILLS, say=print)
    report.save(tmp_path)
    assert report.violations == [], report.page()
    assert report.landed > KILLS / 2
    assert report.jobs["export succeeded"] > 0
    assert report.figures["exports compared with an undisturbed run"] > 0


def test_a_seed_always_makes_the_same_plan_and_another_seed_another():
    assert plan(1, 100) == plan(1, 100)
    assert plan(1, 100) != plan(2, 100)
    assert sum(attack.is_kill for attack in plan(1, 100)) == 100
