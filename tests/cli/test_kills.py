"""SIGKILLs at random moments; `benchmarks/kills.py` alone has them by the hundred.

Slow, since each takes the start of three processes. In the usual run `tests/sweeps/test_multirun.py` kills the process
of a sweep and lets it go on, `tests/output/sinks/test_restore.py` kills the process that writes a run's files, and
`tests/engine/test_resume.py` and `tests/sweeps/test_resume_chunks.py` stand for kills inside of one process.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_kills() -> None:
    done = subprocess.run([sys.executable, "benchmarks/kills.py", "10"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 kills: all ends are the same to the bit" in done.stdout
