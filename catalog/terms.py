"""On which terms a change is asked for: only of what the caller knows, or only for trial."""

from __future__ import annotations

from dataclasses import dataclass

from catalog.errors import Stale


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a caller says of a change besides what it is to change."""

    #: The versions of the thing that may be changed; null: whatever it is by now.
    versions: frozenset[int] | None = None
    #: Everything is checked and nothing is kept.
    is_trial: bool = False

    def admit(self, kind: str, id: object, version: int) -> None:
        """Refuse with Stale a thing that is not of a version the caller knows."""
        if self.versions is not None and version not in self.versions:
            raise Stale(f"{kind} {id} has changed: it is version 1.0.{version - 1} by now")


UNCONDITIONALLY = Terms()
