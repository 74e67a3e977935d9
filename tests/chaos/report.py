"""What a run says of itself: as a document for machines, and as a page for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.attacks import Done
from tests.chaos.plan import Moment

RESULTS = Path(__file__).parent / "results"


@dataclass(slots=True, kw_only=True)
class Report:
    seed: int
    kills: int
    done: list[Done] = field(default_factory=list)
    #: Attacks that came a second time, or failed for reasons of their own.
    troubles: list[str] = field(default_factory=list)
    #: Seconds by stage.
    seconds: dict[str, float] = field(default_factory=dict)
    #: Ended jobs by kind and state.
    jobs: Counter[str] = field(default_factory=Counter)
    #: Successful jobs by the number of attempts they took.
    attempts: Counter[int] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    figures: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def landed(self) -> int:
        """Signals that hit somebody."""
        return sum(done.attack.is_kill and done.victim_count > 0 for done in self.done)

    def by_moment(self) -> dict[str, Counter[Moment]]:
        """How often what was done, by the moment in which it was."""
        table: dict[str, Counter[Moment]] = {}
        for done in self.done:
            if done.victim_count:
                what = f"{done.attack.target}: {done.attack.deed}"
                table.setdefault(what, Counter())[done.moment] += 1
        return dict(sorted(table.items()))

    def to_json(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "kills": self.kills,
            "landed": self.landed,
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
            "violations": self.violations,
            "troubles": self.troubles,
            "jobs": dict(sorted(self.jobs.items())),
            "attempts": dict(sorted(self.attempts.items())),
            "figures": self.figures,
            "answers": {
                f"{call} {status}": n for (call, status), n in sorted(self.answers.items())
            },
            "attacks": {what: dict(moments) for what, moments in self.by_moment().items()},
            "log": [
                {"at": round(done.at, 2), "attack": str(done.attack), "moment": done.moment}
                for done in self.done
            ],
        }

    def page(self) -> str:
        verdict = f"{len(self.violations)} violations" if self.violations else "No violation"
        mishaps = sum(not done.attack.is_kill for done in self.done)
        lines = [
            f"# Chaos: seed {self.seed}, {self.kills} kills",
            "",
            f"{verdict}. {self.landed} of {self.kills} signals found their process.",
            f"{mishaps} mishaps besides: network and storage.",
            "",
            *[f"* **{violation}**" for violation in self.violations],
            "",
            *_table("Seconds", {name: f"{value:.0f}" for name, value in self.seconds.items()}),
            *_table("Jobs", self.jobs),
            *_table("Attempts of jobs that succeeded", dict(sorted(self.attempts.items()))),
            *_table("Figures", self.figures),
            "## Attacks by kind and moment",
            "",
            *self.matrix(),
            "",
            *_table("Statuses of calls", _by_status(self.answers)),
            *(
                ["## Troubles of the attack itself", "", *self.troubles, ""]
                if self.troubles
                else []
            ),
        ]
        return "\n".join(lines)

    def matrix(self) -> list[str]:
        """Attacks by kind and moment, as a table."""
        table = self.by_moment()
        met = [moment for moment in Moment if any(row[moment] for row in table.values())]
        lines = [_row(["", *met, "all"]), _row(["---", *["--:"] * (len(met) + 1)])]
        for what, row in table.items():
            lines.append(_row([what, *[row[moment] or "" for moment in met], row.total()]))
        total = Counter(moment for row in table.values() for moment in row.elements())
        lines.append(_row(["all", *[total[moment] for moment in met], total.total()]))
        return lines

    def save(self, folder: Path = RESULTS) -> Path:
        """Write both beside each other; return the page."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"seed-{self.seed}-kills-{self.kills}"
        document = json.dumps(self.to_json(), indent=1) + "\n"
        (folder / f"{name}.json").write_text(document, encoding="utf-8")
        page = folder / f"{name}.md"
        page.write_text(self.page(), encoding="utf-8")
        return page


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _table(title: str, rows: Mapping[Any, Any]) -> Sequence[str]:
    if not rows:
        return []
    body = [f"| {name} | {value} |" for name, value in rows.items()]
    return [f"## {title}", "", "| | |", "| --- | --: |", *body, ""]


def _by_status(answers: Counter[tuple[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for (_, status), count in answers.items():
        found[str(status) if status else "none: the connection was refused or reset"] += count
    return dict(sorted(found.items()))
