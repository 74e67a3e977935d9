"""Keeps out of an engine process what it has no use for; imported before anything else of it.

pyarrow imports pandas wherever it is installed, which doubles the time a child takes to start
and half again its memory. No row of the engine ever becomes a data frame.

NumPy and SciPy each start a thread of linear algebra for every processor, which looks out busily
for work for a while: a fifth of the processor time of a start. The engine multiplies no matrices.
"""

from __future__ import annotations

import os
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
os.environ["OPENBLAS_NUM_THREADS"] = "1"
