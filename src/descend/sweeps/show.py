"""`descend show`: what a command would run, without running it; of a sweep its plan and its first run."""

from collections.abc import Sequence

from descend.menu.commands.arguments import Parser
from descend.menu.commands.show import show_run
from descend.menu.compose import compose, composing
from descend.menu.placing import check_places, parse
from descend.menu.ready import users_errors
from descend.menu.source import Source
from descend.menu.start import source_of
from descend.sweeps.multirun import check_settings, run_overrides, settings, sweep_overrides
from descend.sweeps.plan import plan
from descend.sweeps.report import show_plan

USAGE = """\
descend show: what the same command without `show` would run; nothing is run, and no file is written.

  descend show objective=rosenbrock optimizer=adam optimizer.lr=0.01
  descend show -m optimizer.lr=0.1,0.01 seed=0,1     a sweep: its plan, as by sweep.dry_run=true, and its first run
  descend show --config-dir my optimizer=mine        with a menu of your own

For each part: its equation, and its fields with where each value comes from: a file of the menu, the command line, or
the class. Then the parameters, the losses, the metrics, the precision, and which backend makes the steps and why.
"""


def show_command(arguments: Sequence[str]) -> int:
    """Carry out `descend show <arguments>`, and return the exit code.

    Raises:
        ConfigurationError: what the overrides describe could not run.
    """
    parser = Parser("descend show")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--config-dir")
    parser.add_argument("-h", "--help", action="store_true")
    given = parser.parse_intermixed_args(list(arguments))
    if given.help:
        print(USAGE)
        return 0
    with composing():
        check_places(parse(given.overrides), sweeps=given.multirun)
    source = source_of(None, given.config_dir)
    if given.multirun:
        show_sweep(given.overrides, source)
    else:
        show_run(given.overrides, Source.of(compose(given.overrides, with_hydra=True, source=source)))
    return 0


def show_sweep(overrides: Sequence[str], source: Source) -> None:
    """Print the plan of a sweep, and what its first run is.

    Raises:
        ConfigurationError: as for the sweep itself.
    """
    config = compose(sweep_overrides(overrides), with_hydra=True, source=source)
    chosen, source = settings(config), Source.of(config)
    check_settings(chosen, overrides, config)
    with users_errors():
        planned = plan(run_overrides(overrides), chosen, source)
    show_plan(planned, chosen)
    print(f"\nThe first of the runs: {' '.join(planned.jobs[0].overrides)}\n")
    show_run(planned.jobs[0].overrides, source)
