"""SIGKILLs at random moments; `benchmarks/kills.py` alone has them by the hundred.

The long tests have one, since each takes the start of three processes. In the usual run `tests/sweeps/test_multirun.py`
kills the process of a sweep, and kills inside of one process are in `tests/engine/test_resume.py` and
`tests/sweeps/test_resume_chunks.py`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [pytest.param(1, marks=pytest.mark.long), pytest.param(10, marks=pytest.mark.slow)])
def test_kills(kills: int) -> None:
    done = subprocess.run([sys.executable, "benchmarks/kills.py", f"{kills}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{kills} kills: all ends are the same to the bit" in done.stdout
