"""Keeps pandas out of an engine process; imported before anything that imports pyarrow.

pyarrow imports pandas wherever it is installed, which doubles the time a child takes to start
and half again its memory. No row of the engine ever becomes a data frame.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("the engine does without pandas", name=fullname)
        return None


sys.meta_path.insert(0, _NoPandas())
