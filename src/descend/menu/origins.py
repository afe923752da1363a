"""Where each value of a composed configuration comes from: a file, or the command line."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import OmegaConf

from descend.menu import FOLDER
from descend.menu.by_hydra import config_loader
from descend.menu.compose import composing
from descend.menu.placing import parse
from descend.menu.source import MENU, Source

COMMAND_LINE = "command line"
SCHEMA = "schema"


def origins(overrides: Sequence[str], source: Source = MENU) -> dict[str, str]:
    """Return where each value comes from, by its key: `optimizer.lr` from `optimizer/adam.yaml`.

    Hydra merges files in an order of its own; the last one that has a key gives its value.

    Raises:
        ConfigurationError: the overrides cannot be composed.
    """
    with composing():
        loader = config_loader(source)
        files = loader.compute_defaults_list(source.name, list(overrides), RunMode.RUN).defaults
        repository, found = CachingConfigRepository(loader.repository), {}
        for file in files:
            if not file.config_path or file.config_path == SCHEMA or file.config_path.startswith("hydra/"):
                continue
            loaded = loader._load_single_config(file, repository)
            content: Any = OmegaConf.to_container(loaded.config, resolve=False)
            found.update(dict.fromkeys(keys(content), f"{file.config_path}.yaml"))
        found.update({each.key_or_group: COMMAND_LINE for each in parse(overrides) if sets_value(each)})
    return found


def sets_value(override: Override) -> bool:
    """Tell whether an override sets a value, rather than choosing from a group."""
    return not (FOLDER / override.key_or_group).is_dir() and override.package is None


def keys(node: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield the key of every value of a configuration, those inside nodes with dots between."""
    for name, value in node.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and value:
            yield from keys(value, f"{key}.")
        else:
            yield key


def value_origin(key: str, found: Mapping[str, str]) -> str | None:
    """Return where the value of a key comes from, or the node around it; None where that is not known.

    The command line comes before files, and the longest key that is known before shorter ones.
    """
    around = [known for known in found if f"{key}.".startswith(f"{known}.")]
    if any(found[known] == COMMAND_LINE for known in around):
        return COMMAND_LINE
    return found[max(around, key=len)] if around else None
