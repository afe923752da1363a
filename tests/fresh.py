"""Python code in a process of its own."""

import subprocess
import sys


def in_a_fresh_process(code: str) -> str:
    """Return what the code prints."""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.strip()
