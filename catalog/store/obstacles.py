"""What an operator has to put right before the store can work.

An :class:`Obstacle` is no :class:`~catalog.errors.Refusal`: no caller of the API can cause or
mend it, so no surface has a row for it. The command line prints its message and nothing more.
"""

from __future__ import annotations


class Obstacle(Exception):
    """The machine or the database is not as it must be; the message says what would help."""
