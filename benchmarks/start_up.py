"""What it costs to start: CPU time of whole processes, against `import torch` alone.

The processes take turns, over many rounds, in an empty folder; their CPU time is what the system charged them with.

    python benchmarks/start_up.py [rounds]
"""

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from ratios import Ratio, show

RUN = str(Path(__file__).parents[1] / "run.py")
PEER = ["-c", "import torch"]
WORKS = {"run.py objective=rosenbrock steps=1": ([RUN, "objective=rosenbrock", "steps=1"], 1.6)}
HELP, HELP_SECONDS = [RUN, "--help"], 1.0


def cpu_seconds(arguments: list[str], folder: str) -> float:
    """Return user and system time of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    found: dict[str, list[float]] = {name: [] for name in WORKS}
    helps = []
    with tempfile.TemporaryDirectory() as folder:
        for arguments in [PEER, HELP, *(arguments for arguments, _ in WORKS.values())]:
            cpu_seconds(arguments, folder)  # the first time compiles to bytecode
        for _ in range(rounds):
            helps.append(cpu_seconds(HELP, folder))
            for name, (arguments, _) in WORKS.items():
                before = cpu_seconds(PEER, folder)
                took = cpu_seconds(arguments, folder)
                found[name].append(2 * took / (before + cpu_seconds(PEER, folder)))
    rows = {}
    for name, (_, target) in WORKS.items():
        low, median, high = statistics.quantiles(found[name], n=4)
        rows[name] = (Ratio(median, low, high), target)
    reached = show(rows)
    seconds = statistics.median(helps)
    print(f"run.py --help: {seconds:.3f} s of CPU, at most {HELP_SECONDS} s wanted")
    sys.exit(0 if reached and seconds <= HELP_SECONDS else 1)


if __name__ == "__main__":
    main()
