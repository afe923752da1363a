"""Making a run ready before its folder is made, so that a mistake leaves nothing behind."""

import gc
import sys
import traceback
from collections.abc import Sequence
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from descend.engine.run import Run
from descend.menu.build import build, trackers
from descend.menu.compose import MISTAKES, sentence


class Ready(Callback):
    """Hydra calls this before it makes the run's folder; the loop waits here for the task that follows."""

    _loop: ClassVar[Run | None] = None

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        collect_from_now_on()
        # Hydra turns an exception of a callback into a warning and goes on; an exit it lets pass.
        own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        try:
            trackers(own)
            Ready._loop = prepare(own, config.hydra.overrides.task)
        except MISTAKES as error:
            print(f"descend: {sentence(error)}", file=sys.stderr)
            sys.exit(2)
        except Exception:
            traceback.print_exc()
            sys.exit(1)

    @staticmethod
    def take() -> Run | None:
        """Return the loop made ready, once."""
        loop, Ready._loop = Ready._loop, None
        return loop


def collect_from_now_on() -> None:
    """Let Python collect garbage again, leaving out all that was imported."""
    gc.freeze()
    gc.enable()


def prepare(config: DictConfig, overrides: Sequence[str]) -> Run:
    """Return the loop of a composed configuration, ready to start."""
    return Run(build(config, list(overrides)))
