"""A sweep from Python: its table, without a folder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from descend.errors import ConfigurationError
from descend.menu.compose import about, compose, composing
from descend.menu.placing import check_places, parse
from descend.output.shown import SweepTable, sweep_table
from descend.sweeps.conduct import carry_out
from descend.sweeps.multirun import check_settings, run_overrides, settings, sweep_overrides
from descend.sweeps.plan import plan
from descend.sweeps.store import Store
from descend.sweeps.study_sweep import StudySweep


def sweep(overrides: Sequence[str]) -> SweepTable:
    """Run the sweep that `overrides` make, and return its table; a run that raised has the status `failed` in it.

    An experiment that is a sweep in YAML is one here too: `descend.sweep(["experiment=first_order"])`.

    Raises:
        ConfigurationError: any run cannot start, or `sweep` asks for something that needs a folder.
    """
    with composing():
        check_places(parse(overrides), sweeps=True)
        named = sweep_overrides(overrides)
    config = compose(named, with_hydra=True)
    chosen = settings(config)
    overrides = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()] + list(overrides)
    if chosen.resume or chosen.dry_run or any(about(override, "hydra") for override in overrides):
        raise ConfigurationError(
            "sweep.resume, sweep.dry_run and hydra are for the command line: from Python no folder is kept, no plan "
            "shown and no launcher used; remove them."
        )
    check_settings(chosen, overrides, config)
    chosen, own = replace(chosen, keep="none"), run_overrides(overrides)
    with TemporaryDirectory(prefix="descend-") as folder:
        if chosen.study is not None:
            search = StudySweep.of(own, chosen, chosen.study)
            with search.store(Path(folder)) as store:
                stopped = search.carried_out(store)
                return table_or_interrupt(store, stopped, chosen.rank)
        planned = plan(own, chosen)
        with Store(Path(folder), planned.jobs) as store:
            return table_or_interrupt(store, carry_out(planned, chosen, store), chosen.rank)


def table_or_interrupt(store: Store, stopped: int, rank: str | None) -> SweepTable:
    """Return the table of a sweep; raise KeyboardInterrupt where a signal stopped it."""
    if stopped:
        raise KeyboardInterrupt
    return sweep_table(store.table(), store.curves(), rank)
