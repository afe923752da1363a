"""Sweeps against the same work by Hydra's basic sweeper, the joblib launcher, a JAX script and a PyTorch loop.

Whole commands with their start-up, in wall time, each round running all of them in turn; medians of the rounds. Peers
that start a job for each setting are timed on 2 and on 2 + FEW settings, and their time for all is taken along the
line through both, which leaves their start-up out of what is multiplied.

    pip install -c constraints.txt jax optax hydra-joblib-launcher
    python benchmarks/sweep.py [rounds] [divisor of all sizes, to try it out] [a word in the names of the claims timed]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from descend.engine.run import run
from descend.menu.build import build
from descend.menu.compose import compose
from descend.sweeps.batch import prepare, run_chunk, run_group
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings
from descend.sweeps.space import Grid

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"
ROSENBROCK = ["objective=rosenbrock", "optimizer=adam", "dtype=float32"]  # the precision that JAX takes by itself
QUIET = ["metrics=none", "derivatives=none"]
BARE = "sweep.keep=none"  # as a script in JAX does, leave numbers and no pages for TensorBoard
FEW = 30
LR = "optimizer.lr=tag(log,interval(1e-4,1))"

Seconds = Callable[[], float]


class Claim(NamedTuple):
    """`peer` takes at least `target` times as long as `ours`."""

    ours: Seconds
    peer: Seconds
    target: float


def command(*arguments: object) -> float:
    """Run a Python command in a folder of its own and return its wall seconds."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - began


def ours(runs: int, steps: int, *overrides: str) -> float:
    """Sweep `runs` learning rates with Adam on Rosenbrock-2."""
    return command(ROOT / "run.py", "-m", *ROSENBROCK, LR, f"sweep.points={runs}", f"steps={steps}", *overrides)


def job_by_job(launcher: list[str], steps: int, runs: int) -> float:
    """The same command by Hydra's basic sweeper."""
    rates = "optimizer.lr=" + ",".join(repr(float(x)) for x in np.geomspace(1e-4, 1, runs))
    own = ["hydra/sweeper=basic", *launcher, rates, f"steps={steps}"]
    return command(ROOT / "run.py", "-m", *ROSENBROCK, *QUIET, *own)


def by_torch(steps: int, runs: int) -> float:
    return command(PEERS / "sweep_torch.py", runs, steps, "losses.npy")


def by_jax(runs: int, steps: int) -> float:
    """The same in JAX, which keeps the losses of as many steps as our curves do."""
    stride = plan([*ROSENBROCK, LR, f"steps={steps}"], Settings(sampling=Grid(runs))).stride
    return command(PEERS / "sweep_jax.py", runs, steps, "lr", "losses.npy", stride)


def along_the_line(peer: Callable[[int], float], runs: int) -> float:
    """Return a peer's seconds for `runs` settings, from its seconds for 2 and for 2 + FEW."""
    least, more = peer(2), peer(2 + FEW)
    return least + (more - least) / FEW * (runs - 2)


def warm_jax(runs: int, steps: int, swept: str) -> float:
    """Return the seconds of a step of all runs, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        script = [sys.executable, str(PEERS / "sweep_jax.py"), str(runs), str(steps), swept, "losses.npy", "1", "warm"]
        return float(subprocess.run(script, cwd=folder, check=True, capture_output=True, text=True).stdout) / steps


def warm_ours(runs: int, steps: int, swept: str) -> float:
    """Return the seconds of a step of all runs, compiled, every loss recorded; the second time, as JAX's."""
    both = swept == "betas"  # a grid of as many points, which JAX takes along one line
    rates = [LR, "optimizer.betas.0=interval(0.8,0.95)"] if both else [LR]
    points = round(runs**0.5) if both else runs
    overrides = [*ROSENBROCK, *QUIET, *rates, f"steps={steps}", "compile=true"]
    (group,) = plan(overrides, Settings(sampling=Grid(points))).groups
    prepared = prepare(group)
    for _ in range(2):  # the second time, memory is no longer asked of the system
        chunk = run_chunk(prepared, group, 1, lambda steps: None)
    return sum(result.seconds for result in chunk.results) / steps  # of the steps alone: compiling is not among them


def digits(steps: int, own: bool, alone: int = 4) -> float:
    """Train 64 digits networks, stacked or one after the other (of which `alone` are timed), in this process."""
    base = ["objective=digits_mlp", "objective.network.hidden=[32]", *QUIET, f"steps={steps}"]
    rates = np.geomspace(1e-4, 1e-1, 8).tolist()
    if own:
        swept = ["optimizer.lr=" + ",".join(map(repr, rates)), "seed=range(0,8)"]
        (group,) = plan([*base, *swept], Settings()).groups
        began = time.perf_counter()
        for _ in run_group(group, 8 << 30):
            pass
        return time.perf_counter() - began
    jobs = [[*base, f"optimizer.lr={rates[i]}", f"seed={i}"] for i in range(alone)]
    experiments = [build(compose(job), job) for job in jobs]
    began = time.perf_counter()
    for experiment in experiments:
        run(experiment)
    return (time.perf_counter() - began) * 64 / alone


def composition(jobs: int) -> float:
    """Return the CPU milliseconds of planning a job."""
    began = time.process_time()
    plan([*ROSENBROCK, LR], Settings(sampling=Grid(jobs)))
    return (time.process_time() - began) / jobs * 1e3


def memory(runs: int, steps: int) -> float:
    """Return the gigabytes that a sweep takes at most."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = [*ROSENBROCK, *QUIET, LR, f"sweep.points={runs}", f"steps={steps}"]
        arguments = [sys.executable, str(ROOT / "run.py"), "-m", *sweep]
        process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return os.wait4(process.pid, 0)[2].ru_maxrss / 2**20


def claims(by: int) -> dict[str, Claim]:
    """Return what is claimed, with all sizes divided by `by`."""
    runs, steps = 1024 // by, max(1000 // by, 2)
    many, long = 16_384 // by, 200_000 // by
    tenth = [f"metrics.{name}.every=10" for name in compose(["metrics=default"]).metrics]
    command_of_ours = partial(ours, runs, steps, *QUIET)
    one_by_one = partial(along_the_line, partial(job_by_job, ["hydra/launcher=basic"], steps), runs)
    two_cores = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    joblib = partial(along_the_line, partial(job_by_job, two_cores, steps), runs)
    torch_loop = partial(along_the_line, partial(by_torch, steps), runs)
    warm = {
        f"warm, {n:,} settings of {swept}": Claim(
            partial(warm_ours, n, steps, swept), partial(warm_jax, n, steps, swept), target
        )
        for n, swept, target in ((runs, "lr", 1.0), (many, "lr", 3.0), (runs, "betas", 2.0), (many, "betas", 8.0))
    }
    return {
        f"command, {runs:,} × {steps:,}: Hydra's basic sweeper": Claim(command_of_ours, one_by_one, 100),
        f"command, {runs:,} × {steps:,}: joblib on 2 cores": Claim(command_of_ours, joblib, 50),
        f"command, {runs:,} × {steps:,}: PyTorch loop": Claim(command_of_ours, torch_loop, 40),
        f"command, {runs:,} × {steps:,}: JAX": Claim(command_of_ours, partial(by_jax, runs, steps), 1 / 2.5),
        f"command, {runs:,} × {steps:,}, no pages: JAX": Claim(
            partial(ours, runs, steps, *QUIET, BARE), partial(by_jax, runs, steps), 1 / 2.5
        ),
        f"command, {many:,} × {long:,}: JAX": Claim(
            partial(ours, many, long, *QUIET, BARE), partial(by_jax, many, long), 1 / 0.6
        ),
        **{f"{name}: JAX": claim for name, claim in warm.items()},
        "digits MLP, 64 runs: one after the other": Claim(
            partial(digits, max(300 // by, 2), True), partial(digits, max(300 // by, 2), False), 6
        ),
        "metrics left out: the default ones at every 10th step": Claim(
            partial(ours, runs, steps, "derivatives=none", *tenth), partial(ours, runs, steps, *QUIET), 1 / 1.3
        ),
        "a run of 10,000: a run of 1,000": Claim(
            lambda: ours(10_000 // by, steps, *QUIET) / 10, lambda: ours(1000 // by, steps, *QUIET), 1
        ),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    by = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    word = sys.argv[3] if len(sys.argv) > 3 else ""
    all_claims = {name: claim for name, claim in claims(by).items() if word in name}
    ratios: dict[str, list[float]] = {name: [] for name in all_claims}
    for _ in range(rounds):
        for name, claim in all_claims.items():
            ratios[name].append(claim.peer() / claim.ours())
            print(f"{name}: {ratios[name][-1]:.2f}", file=sys.stderr)
    width = max(map(len, all_claims))
    print(f"{'times as long as ours':<{width}}  median  lowest  highest  target  reached")
    for name, found in ratios.items():
        median, target = statistics.median(found), all_claims[name].target
        reached = "yes" if median >= target else "no"
        print(f"{name:<{width}}  {median:6.2f}  {min(found):6.2f}  {max(found):7.2f}  {target:6.2f}  {reached}")
    if word:
        return
    jobs = 10_000 // by
    print(f"planning: {composition(jobs):.3f} ms of CPU a job at {jobs:,} jobs (target 0.5)")
    print(f"memory: {memory(jobs, 1000 // by):.2f} GB for {jobs:,} runs of {1000 // by:,} steps (target 2)")


if __name__ == "__main__":
    main()
