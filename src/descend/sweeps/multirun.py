"""The boundary between Hydra's multirun and a sweep."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from descend.errors import ConfigurationError
from descend.menu.build import make
from descend.menu.compose import about
from descend.menu.ready import collect_from_now_on
from descend.sweeps.conduct import conduct, plan
from descend.sweeps.parts import Elsewhere
from descend.sweeps.settings import Settings
from descend.sweeps.space import Sampling

STACKED = "hydra_plugins.descend.BatchedLauncher"


def multirun(config: DictConfig, context: HydraContext, overrides: Sequence[str]) -> int:
    """Carry out a multirun and return its exit code.

    Args:
        config: composed without what is swept; its `sweep` node says how.
        overrides: as given; those of `sweep` and `hydra` say how, the others what.
    """
    collect_from_now_on()
    chosen = settings(config)
    own = what(overrides)
    planned = plan(own, chosen, context.config_loader)
    carry = None if config.hydra.launcher._target_ == STACKED else Elsewhere(config, context, own)
    folder = Path(chosen.resume or config.hydra.sweep.dir)
    if chosen.resume and not (folder / "sweep.db").exists():
        raise ConfigurationError(f"sweep.resume is {chosen.resume}, but that folder holds no sweep; check its name.")
    if not chosen.dry_run:
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / "multirun.yaml")
    return conduct(planned, chosen, folder, carry)


def settings(config: DictConfig) -> Settings:
    """Return the `sweep` node as settings."""
    node: Any = OmegaConf.to_container(config.sweep, resolve=True)
    sampling = make("sweep.sampling", node.pop("sampling"), Sampling)
    return Settings(sampling=sampling, **node)


def what(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that say what is run, those that say how left out."""
    return [override for override in overrides if not about(override, "sweep") and not about(override, "hydra")]


def how(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that say how runs are swept: those of `sweep`, and the experiment, which may say it too."""
    named = [override for override in overrides if about(override, "sweep") or about(override, "experiment")]
    parsed = OverridesParser.create().parse_overrides(named)
    return [override for override, one in zip(named, parsed, strict=True) if not one.is_sweep_override()]
