"""Stacked networks in processes that keep the memory they free, against processes that return it at once.

CPU time of whole processes, and the most memory that they had, in turn; medians. Each sweeps over four seeds.

    python benchmarks/kept_memory.py [rounds] [objective …]

2026-11-30, 2 rounds: mnist_cnn 0.77 of the time and 1.27 of the memory, mnist_resnet 0.97 and 1.04.
"""

import json
import statistics
import subprocess
import sys

CODE = """
import json, resource, sys
import descend
from descend.engine import placement
if sys.argv[1] == "returned":
    placement.keep_freed = lambda: None
silent = ["threads=1", "metrics=none", "derivatives=none"]
descend.sweep([f"objective={sys.argv[2]}", "seed=range(0,4)", "steps=40", *silent])
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6]))
"""


def measured(way: str, objective: str) -> tuple[float, float]:
    """Return the seconds and the GB of one process."""
    found = subprocess.run([sys.executable, "-c", CODE, way, objective], capture_output=True, text=True, check=True)
    seconds, gigabytes = json.loads(found.stdout.splitlines()[-1])
    return seconds, gigabytes


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'four stacked':<14}  kept / returned: CPU time, most memory")
    for objective in sys.argv[2:] or ["mnist_cnn", "mnist_resnet"]:
        pairs = [(measured("kept", objective), measured("returned", objective)) for _ in range(rounds)]
        ratios = [statistics.median(kept[i] / returned[i] for kept, returned in pairs) for i in (0, 1)]
        print(f"{objective:<14}  {ratios[0]:.2f}  {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
