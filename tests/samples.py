"""Real sample records, read where they lie beside the repository; never copied into it."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"


def sample(name: str) -> Path:
    """A sample file; a test that asks for one is skipped where there are none."""
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"the sample records are not beside this repository: {name}")
    return path
