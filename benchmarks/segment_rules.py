"""A hundred segments, each as a rule of PQL and as what it is in SQL over the same raw rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from drawing import BROWSERS, TYPES, words_of
from making import SPAN, START
from workload import SEED

#: The instant of the evaluation: the last event was sent just before.
NOW: datetime = START + SPAN
_NOW = f"TIMESTAMPTZ '{NOW.isoformat()}'"


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment, for us and for a data base."""

    pql: str
    #: Of a row of merged fields, in which ``{0}`` and so on stand for columns of ``events``.
    sql: str
    #: Aggregates over the events of a profile, null of a profile without any.
    events: tuple[str, ...] = ()


def segments(*, with_chains: bool) -> tuple[Segment, ...]:
    """Give a hundred segments, half of them about events; with chains, ten about two in a row."""
    about_events = tuple(_of_events())
    if with_chains:
        about_events = (*about_events[:40], *_of_chains())
    return (*_of_fields(), *about_events)


def _of_fields() -> Iterator[Segment]:
    words = words_of(SEED).to_pylist()
    for number in range(10):
        s, n = f"s{number}", f"n{number % 5}"
        word, beginning = words[number * 7], words[number * 11][:2]
        limit = 150 * number - 700
        yield Segment(
            pql=f'{s} = "{word}" or {n} > {limit + 1500}',
            sql=f"{s} = '{word}' OR {n} > {limit + 1500}",
        )
        yield Segment(
            pql=f'{s}.startsWith("{beginning}") and {n} >= {limit}',
            sql=f"starts_with({s}, '{beginning}') AND {n} >= {limit}",
        )
        three = words[number * 13 : number * 13 + 3]
        quoted = ", ".join(f"'{each}'" for each in three)
        yield Segment(
            pql=f"{s} in [{quoted}] and !({n} < {limit})",
            sql=f"{s} IN ({quoted}) AND NOT ({n} < {limit})",
        )
        part = word[1:3]
        yield Segment(
            pql=f'email like "%@example.org" and {s}.contains("{part}")',
            sql=f"email LIKE '%@example.org' AND contains({s}, '{part}')",
        )
        other = f"n{(number + 1) % 5}"
        yield Segment(
            pql=f"{n} + {other} > {limit} and {s}.isNotNull()",
            sql=f"{n} + {other} > {limit} AND {s} IS NOT NULL",
        )


def _of_events() -> Iterator[Segment]:
    for number in range(10):
        type, browser = TYPES[number % len(TYPES)], BROWSERS[number % len(BROWSERS)]
        amount, days = 60 + 12 * number, 3 + 5 * number
        yield Segment(
            pql=f'exists E from xEvent where (E.eventType = "{type}" and E.amount > {amount})',
            sql="{0}",
            events=(f"bool_or(eventType = '{type}' AND amount > {amount})",),
        )
        yield Segment(
            pql=(
                f'exists E from xEvent where (E.browser = "{browser}" and'
                f" E.timestamp occurs < {days} days before now)"
            ),
            sql="{0}",
            events=(
                (
                    f"bool_or(browser = '{browser}' AND timestamp <= {_NOW}"
                    f" AND timestamp > {_NOW} - INTERVAL {days} DAY)"
                ),
            ),
        )
        yield Segment(
            pql=f'xEvent[eventType = "{type}"].count() >= {1 + number // 3}',
            sql=f"{{0}} >= {1 + number // 3}",
            events=(f"count(*) FILTER (eventType = '{type}')",),
        )
        yield Segment(
            pql=f'xEvent[browser = "{browser}"].sum(amount) > {amount}',
            sql=f"{{0}} > {amount}",
            events=(f"sum(amount) FILTER (browser = '{browser}')",),
        )
        yield Segment(
            pql=(
                f'!(exists E from xEvent where (E.version.startsWith("{90 + 4 * number}") and'
                f' E.url.contains("/00{number}")))'
            ),
            sql="NOT coalesce({0}, false)",
            events=(
                (
                    f"bool_or(starts_with(version, '{90 + 4 * number}')"
                    f" AND contains(url, '/00{number}'))"
                ),
            ),
        )


def _of_chains() -> Iterator[Segment]:
    for number in range(10):
        amount, browser = 40 + 8 * number, BROWSERS[number % len(BROWSERS)]
        first = f"eventType = 'commerce.cartAdd' AND amount > {amount}"
        second = f"eventType = 'commerce.order' AND browser = '{browser}'"
        yield Segment(
            pql=(
                f'exists A from xEvent where (A.eventType = "commerce.cartAdd" and'
                f' A.amount > {amount}), B from xEvent where (B.eventType = "commerce.order" and'
                f' B.browser = "{browser}" and B.timestamp > A.timestamp)'
            ),
            sql="{0} < {1}",
            events=(
                f"min(timestamp) FILTER ({first})",
                f"max(timestamp) FILTER ({second})",
            ),
        )
