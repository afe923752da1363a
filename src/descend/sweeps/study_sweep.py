"""A sweep whose settings are asked for as results come in: asked, run, told, until there are enough."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from descend.menu.by_hydra import config_loader
from descend.menu.compose import composing
from descend.menu.source import MENU, Source
from descend.sweeps.conduct import carry_out, exit_code
from descend.sweeps.job import Job
from descend.sweeps.picture_process import PictureProcess
from descend.sweeps.plan import planned
from descend.sweeps.report import report
from descend.sweeps.settings import Settings
from descend.sweeps.space import Axes, axes_of
from descend.sweeps.store import Store, table_of
from descend.sweeps.study import Study, tell_values, values_told


@dataclass(frozen=True)
class StudySweep:
    """A sweep that asks a study of Optuna's.

    Args:
        overrides: what is run.
        settings: how.
        study: whom it asks.
        axes: what it varies.
    """

    overrides: tuple[str, ...]
    settings: Settings
    study: Study
    axes: Axes
    source: Source = MENU

    @classmethod
    def of(cls, overrides: Sequence[str], settings: Settings, study: Study, source: Source = MENU) -> Self:
        """Return the search of a multirun, one setting of which was built.

        Raises:
            ConfigurationError: anything is wrong with what is varied, or with that setting.
        """
        with composing():
            found = axes_of(overrides, config_loader(source))
        made = cls(tuple(overrides), settings, study, found, source)
        planned(found.jobs([found.first()])[:1], settings, source)
        return made

    def store(self, folder: Path) -> Store:
        """Return the store of this sweep; raises as `Store` does."""
        halving, rank = self.settings.halving, self.settings.rank
        named = [*self.study.named(rank), *([] if halving is None else halving.named(rank))]
        return Store(folder, [], [[*self.overrides, *named]])

    def conducted(self, folder: Path, at_start: Callable[[], None]) -> int:
        """Carry the sweep out in a folder and report; return the exit code, as `conduct` does.

        Args:
            at_start: called once the folder is this sweep's alone.
        """
        with self.store(folder) as store, PictureProcess() as drawer:
            at_start()
            stopped = self.carried_out(store)
            every = self.axes.jobs([texts for _, texts in store.asked()])
            plan = replace(planned(every, self.settings, self.source), more=self._more(every))
            table = store.table()
            report(plan, self.settings, store, table, drawer)
        return exit_code(plan, table, folder, stopped)

    def carried_out(self, store: Store) -> int:
        """Run what a store lacks, a batch of settings after the other.

        Returns:
            The number of the signal that stopped it; 0 if none did.
        """
        (study, save), size = self.study.opened(store.folder), self.study.batch
        for number, first in enumerate(range(0, self.study.points, size)):
            last = min(first + size, self.study.points)
            if len(store.asked()) < last:
                asked = self.study.ask(study, self.axes, number, last - len(store.asked()))
                save()
                store.ask(asked)
            trials, texts = zip(*store.asked()[:last], strict=True)
            every = self.axes.jobs(texts)
            own = every[first * self.axes.members :]
            stopped = self._run(store, every, own)
            results = store.results()
            if stopped or any(job.index not in results for job in own):
                return stopped
            table = table_of(every, {job.index: results[job.index] for job in own})
            values, measure = values_told(table, own, self.axes.members, self.settings.rank)
            tell_values(study, dict(zip(trials[first:], values, strict=True)), measure)
            save()
        return 0

    def _run(self, store: Store, every: list[Job], own: list[Job]) -> int:
        """Run what is not done of a batch; return as `carried_out` does.

        Args:
            every: the jobs of all batches so far.
        """
        store.know(every)
        if store.done() >= {job.index for job in own}:
            return 0
        plan = replace(planned(own, self.settings, self.source), jobs=every, more=self._more(every))
        return carry_out(plan, self.settings, store)

    def _more(self, every: list[Job]) -> int:
        """Return how many runs are still to be drawn."""
        return self.study.points * self.axes.members - len(every)
