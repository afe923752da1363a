"""Successive halving: every run begins, and at rungs the worse settings leave their stacks."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.output.report.measure import chosen_measure
from descend.output.report.sources import column_of
from descend.output.report.summary import all_settings
from descend.sweeps.job import Chunk, Job, setting_of, several_settings
from descend.sweeps.store import Store, table_of


@dataclass(frozen=True)
class Rung:
    """A point of every run at which settings are ranked.

    Attributes:
        part: a run has made one in so many of its steps there.
        stopped: why the runs that lost here go no further, by the job's index; None: they are still to be ranked.
    """

    part: float
    stopped: Mapping[int, str] | None = None

    def step(self, steps: int) -> int:
        """Return the step at which a run of so many steps reaches it."""
        return math.ceil(steps / self.part)


Advance = Callable[[set[int], tuple[Rung, ...]], Iterator[Chunk]]
"""Takes the runs of a plan, save those done, past the rungs to the first that is not ranked, or to the end."""


@dataclass(frozen=True)
class Bracket:
    """Settings that are ranked among each other.

    Attributes:
        settings: the runs of each, as jobs' indices.
        first: the number of the first rung at which they are ranked.
    """

    settings: tuple[tuple[int, ...], ...]
    first: int


@dataclass(frozen=True)
class Halving:
    """How many settings go on at which rungs.

    A run of R steps has k rungs, at R/η^k, …, R/η², R/η steps, rounded up. At each the best 1/η of the settings that
    began go on, rounded down, but one at least: n/η, n/η², … (Jamieson & Talwalkar 2016, "Non-stochastic best arm
    identification and hyperparameter optimization", section 3; η = 2 there).

    With B brackets the settings are dealt at random to B contests: the first ranks at all k rungs, the next leaves out
    the first rung, and so on, in which settings that begin slowly have time to catch up. With s rungs a bracket gets a
    part of the settings that is proportional to η^s/(s + 1) (Li et al. 2018, "Hyperband", algorithm 1).

    The defaults make 23% of the steps; `benchmarks/halving.py` compares them with others.

    `sweep=bohb` gives the steps that stopped settings save to new settings. These form a stack of their own, because
    all runs of a stack are at the same step. So settings come in batches, each batch is halved, and a sampler of Optuna
    draws the next batch from the results so far; the result of a stopped setting is its value where it was stopped
    (after Falkner et al. 2018, "BOHB", where each rung has a model of its own). With the steps of one large contest it
    found, in the median of five draws, 0.003 and 0.78 times the value on two of four tasks, and as much (1.0) or more
    (1.2) on the others, where the first rungs tell little about the end.

    Args:
        eta: η ≥ 2.
        rungs: k ≥ 1.
        brackets: B, 1 to k + 1; the last of k + 1 takes all its settings to the end.
        seed: of the deal.
    """

    eta: float = 2.0
    rungs: int = 4
    brackets: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        check_number(self, "eta", at_least=2)
        check_number(self, "rungs", at_least=1)
        check_number(self, "brackets", at_least=1, at_most=self.rungs + 1)
        check_number(self, "seed", at_least=0)

    def check(self, steps: int) -> None:
        """Require that the first rung is at a whole step.

        Args:
            steps: of the shortest run.

        Raises:
            ConfigurationError: it is not so.
        """
        if steps < self.eta**self.rungs:
            raise ConfigurationError(
                f"sweep.rungs is {self.rungs} and sweep.eta {self.eta:g}, so that the first rung is at 1/"
                f"{self.eta**self.rungs:g} of a run; but a run of {steps} steps has no whole step there: make more "
                "steps, or fewer rungs."
            )

    def named(self, rank: str | None) -> list[str]:
        """Return settings by which a sweep differs from one of the same runs that stops others of them."""
        return [f"sweep.{name}={value}" for name, value in {**vars(self), "rank": rank}.items()]

    def by_objective(self, jobs: Sequence[Job]) -> list[Bracket]:
        """Return the brackets of each objective: losses of different ones cannot be compared."""
        tasks: dict[str, dict[tuple[str, ...], list[int]]] = {}
        for job in jobs:
            settings = tasks.setdefault(job.swept.get("objective", ""), {})
            settings.setdefault(setting_of(job), []).append(job.index)
        lengths = self.rungs - np.arange(self.brackets)
        weights = self.eta**lengths / (lengths + 1)
        made = []
        for settings in tasks.values():
            ends = np.round(len(settings) * np.cumsum(weights) / weights.sum()).astype(int)
            order = np.random.default_rng(self.seed).permutation(len(settings))
            members = [tuple(runs) for runs in settings.values()]
            for first, places in enumerate(np.split(order, ends[:-1])):
                if places.size:
                    made.append(Bracket(tuple(members[i] for i in sorted(places)), first))
        return made

    def share(self, jobs: Sequence[Job]) -> float:
        """Return which share of the steps of all runs is made where none ends by itself, rounding left out."""
        made = 0.0
        for bracket in self.by_objective(jobs):
            left = self.rungs - bracket.first
            made += sum(map(len, bracket.settings)) * (1 + left * (1 - 1 / self.eta)) / self.eta**left
        return made / len(jobs)

    def carried_out(
        self, jobs: Sequence[Job], every: Sequence[Job], rank: str | None, store: Store, advance: Advance
    ) -> Iterator[Chunk]:
        """Yield the chunks of a sweep as they are complete; results at rungs are stored, and not made again.

        A run that failed has lost. A resumed sweep does not try it again: others went on in its place.

        Args:
            jobs: the runs that are ranked among each other.
            every: all runs of the sweep, each at its index.
            rank: the measure; None: a validation metric where there is one, else the training loss.
        """
        passed: tuple[Rung, ...] = ()
        brackets = self.by_objective(jobs)
        for number in range(self.rungs):
            rung = Rung(self.eta ** (self.rungs - number))
            for chunk in advance(store.results().keys() | store.rung(number).keys(), (*passed, rung)):
                if chunk.waits:
                    store.add_rung(number, chunk)
                else:
                    yield chunk
            gone = {run for earlier in passed for run in earlier.stopped or ()}
            stopped: dict[int, str] = {}
            for bracket in brackets:
                if bracket.first <= number:
                    stopped |= self._losers(every, bracket, number, gone, rank, store)
            passed = (*passed, Rung(rung.part, stopped))
        yield from advance(set(store.results()), passed)

    def _losers(
        self, jobs: Sequence[Job], bracket: Bracket, number: int, gone: set[int], rank: str | None, store: Store
    ) -> dict[int, str]:
        """Return why the runs of a bracket that lose at a rung go no further.

        Args:
            gone: the runs that lost earlier.
        """
        going = {run for runs in bracket.settings for run in runs} - gone
        known = {run: x for run, x in (store.results() | store.rung(number)).items() if run in going}
        table = table_of(jobs, known)
        measure = chosen_measure(table, rank)
        ranked = all_settings(table, [column_of(key) for key in jobs[0].swept], measure)["members"].to_list()
        most = max(1, math.floor(len(bracket.settings) / self.eta ** (number - bracket.first + 1)))
        return {
            run: f"at rung {number + 1} of {self.rungs} it was {place} of {len(ranked)} by {measure.label}, "
            f"and the best {most} went on"
            for place, runs in enumerate(ranked, 1)
            for run in runs
            if place > most
        }


def check_several(jobs: Sequence[Job]) -> None:
    """Require that there are several settings.

    Raises:
        ConfigurationError: the runs differ only in seed and objective.
    """
    if not several_settings(jobs):
        raise ConfigurationError(
            "sweep=halving stops the worse settings, but only one is swept; sweep over another key than seed and "
            "objective, as optimizer.lr=0.01,0.1."
        )
