"""What the service tells those who run it: log lines and metrics. Never a secret.

Lines are one JSON object each on standard error, or for people's eyes when that is a terminal.
Whatever is bound to the context (:func:`structlog.contextvars.bind_contextvars`) is on each line
that follows in the same call.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("profile_exports_requests", "Calls answered.", ["method", "route", "status"])
#: From a lookup to an upload over a slow line.
DURATIONS = Histogram(
    "profile_exports_request_seconds",
    "Time from a call's headers to the end of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

BYTES = Counter(
    "profile_exports_bytes",
    "Bytes of bodies: in, as they came, and out, as they were sent.",
    ["route", "direction"],
)

#: From an export of nothing to one of a billion rows.
_JOB_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
JOB_SECONDS = Histogram(
    "profile_exports_job_seconds",
    "Time from a job's first claim to its end, by any worker.",
    ["kind", "outcome"],
    buckets=_JOB_BUCKETS,
)
JOB_WAIT_SECONDS = Histogram(
    "profile_exports_job_wait_seconds",
    "Time a job waited for its first claim.",
    ["kind"],
    buckets=_JOB_BUCKETS,
)
JOBS = Gauge("profile_exports_jobs", "Jobs that wait and run.", ["kind", "state"])
OLDEST_JOB_SECONDS = Gauge(
    "profile_exports_oldest_job_seconds", "Age of the oldest of them.", ["kind", "state"]
)
LEASES_LOST = Counter(
    "profile_exports_leases_lost", "Jobs that were taken from a worker that went silent."
)
SWEPT = Counter("profile_exports_swept", "What the sweeper removed, by what it was.", ["what"])

CONNECTIONS = Gauge("profile_exports_connections", "Connections that are open.")
CUT_OFF = Counter(
    "profile_exports_connections_cut_off", "Connections ended by us, and what for.", ["reason"]
)

#: Parts of field names whose values no log line may hold.
_SECRETS = ("authorization", "secret", "password", "token", "private", "credential", "api_key")
_HIDDEN = "[hidden]"


def start_logging(*, level: str, format: str) -> None:
    """Send all log lines, our own and the libraries', to standard error in one form.

    Level and format are those of :class:`service.settings.LogSettings`.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    # Straight to the stream: the way through the standard library is half of what a line costs,
    # and there is a line for each call.
    structlog.configure(
        processors=[*shared, *_last_steps(format)],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_last_steps(format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


class _Lines(structlog.WriteLogger):
    """Writes finished lines for one logger, whose name is its module's unless it has another."""

    def __init__(self, *named: str) -> None:
        super().__init__(sys.stderr)
        self.name = structlog.stdlib.LoggerFactory()(*named).name


def _last_steps(format: str) -> list[structlog.typing.Processor]:
    is_for_people = format == "console" or (format == "auto" and sys.stderr.isatty())
    if is_for_people:
        # Not the default of structlog, which shows local variables: they hold secrets and rows.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def hide_secrets(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide the values of fields that are named like secrets, at any depth."""
    for name, value in line.items():
        line[name] = _hidden(name, value)
    return line


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    return any(secret in name.lower().replace("-", "_") for secret in _SECRETS)


def _hidden(name: str, value: object) -> object:
    if _is_secret(name):
        return _HIDDEN
    if isinstance(value, dict):
        return {key: _hidden(str(key), each) for key, each in value.items()}
    return value
