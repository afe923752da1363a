"""A few SIGKILLs at random moments; `benchmarks/kills.py` alone has them by the hundred."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(600)
def test_three_kills() -> None:
    done = subprocess.run([sys.executable, "benchmarks/kills.py", "3"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kills: all ends are the same to the bit" in done.stdout
