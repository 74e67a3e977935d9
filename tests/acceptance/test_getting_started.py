"""The manual's first page, line by line, as a reader types it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.acceptance.service import COMMAND, running
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-started.md"

#: What a reader does in another terminal.
ELSEWHERE = "profile-exports serve\n"


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder that the user of a private database can reach."""
    folder = Path(tempfile.mkdtemp(prefix="getting-started-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


def lines_of(page: Path) -> str:
    """Every line for a shell, with the program as it is called from here."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert ELSEWHERE in blocks
    program = f'profile-exports() {{ {shlex.join(COMMAND)} "$@"; }}\n'
    lines = "".join(block for block in blocks if block != ELSEWHERE)
    return program + lines.replace(".venv/bin/python", shlex.quote(sys.executable))


def test_every_line_does_what_the_page_says(data_dir, tmp_path):
    with running(data_dir):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines_of(PAGE)],
            check=False,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE_SECONDS,
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PROFILE_EXPORTS_DATA_DIR": str(data_dir),
            },
        )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = in_order(tmp_path / "profiles.parquet")
    assert first["person"] == {"firstName": "Ada", "city": "Ostrey"}
    assert [event["_id"] for event in first["timeSeriesEvents"]] == ["v1", "v2"]
    assert second["person"]["city"] is None
    assert second["crmId"] == "C2"
    assert done.stdout.count("success\n") == 2
    (again,) = (tmp_path / "profiles").glob("*.parquet")
    assert [row["crmId"] for row in in_order(again)] == ["C1", "C2"]


def in_order(file: Path) -> list[dict[str, object]]:
    rows = pq.read_table(file).to_pylist(maps_as_pydicts="strict")
    return sorted(rows, key=lambda row: row["crmId"])
