"""Composing the menu, and telling in a sentence why it cannot be composed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from descend.errors import ConfigurationError
from descend.menu.by_hydra import composed
from descend.menu.mistakes import sentence
from descend.menu.patch import patched
from descend.menu.source import MENU, Source

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def compose(overrides: Sequence[str], with_hydra: bool = False, source: Source = MENU) -> DictConfig:
    """Return the configuration that `overrides` make of the menu.

    Simple overrides are applied to a cached copy of a configuration that Hydra composed. All others go to Hydra.

    Args:
        with_hydra: keep the node `hydra`, which says how runs are swept and where they go.
        source: where to compose from, if not from the menu alone.

    Raises:
        ConfigurationError: saying what is wrong with an override.
    """
    GlobalHydra.instance().clear()
    with composing():
        config = patched(overrides, with_hydra, source)
        if config is None:
            return composed(overrides, with_hydra, source)
        if with_hydra:  # the cached copy may have been composed in another folder
            with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
                config.hydra.runtime.cwd = str(Path.cwd())
        return config


@contextmanager
def composing() -> Iterator[None]:
    """Turn whatever Hydra raises within into a ConfigurationError: it reads nothing but what the user wrote."""
    try:
        yield
    except Exception as error:
        raise ConfigurationError(sentence(error)) from error


def write_hydra(config: DictConfig, overrides: Sequence[str], folder: Path) -> None:
    """Leave `.hydra` as Hydra leaves it of a run, by a faster writer; of the node `hydra` only what resuming reads.

    Args:
        config: composed with the node `hydra`.
    """
    content: Any = OmegaConf.to_container(config, enum_to_str=True)
    hydra = {"hydra": {"runtime": {"choices": content.pop("hydra")["runtime"]["choices"]}}}
    (folder / ".hydra").mkdir(exist_ok=True)
    for name, part in (("config", content), ("overrides", list(overrides)), ("hydra", hydra)):
        text = yaml.dump(part, Dumper=DUMPER, default_flow_style=False, allow_unicode=True, sort_keys=False)
        (folder / ".hydra" / f"{name}.yaml").write_text(text, encoding="utf-8")


def overrides_of(folder: Path) -> list[str] | None:
    """Return the overrides of the run in a folder, as `.hydra` has them; None where there are none."""
    path = folder / ".hydra" / "overrides.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def about(override: str, group: str) -> bool:
    """Tell whether an override chooses from a group, or sets a field in it."""
    key = override.lstrip("+~").split("=", 1)[0]
    return key == group or key.startswith((f"{group}.", f"{group}/", f"{group}@"))
