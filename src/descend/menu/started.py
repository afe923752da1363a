"""Start-up, while modules are imported: Ctrl-C then ends the process itself, and nothing is collected."""

import gc
import os
import resource
import signal
import threading
import warnings
from collections.abc import Callable
from typing import Any

from descend.errors import ConfigurationError

ADDRESSES = 2 * 2**30


def starting() -> None:
    """Let Ctrl-C end the process itself.

    numpy and torch, interrupted while they are imported, go on with half of what they need; and nothing is written yet.
    """
    on_interrupt(lambda *_: os._exit(130))


def started() -> None:
    """Collect garbage again, leaving out all that was imported, and let Ctrl-C raise KeyboardInterrupt again."""
    gc.freeze()
    gc.enable()
    quiet()
    interruptible()


def check_addresses() -> None:
    """Require addresses enough for torch and polars, which else abort the process or break half imported.

    Raises:
        ConfigurationError: the shell limits them.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESSES:
        raise ConfigurationError(
            f"This shell gives a process {limit / 2**30:.1f} GiB of addresses, but torch and polars reserve "
            f"{ADDRESSES / 2**30:.0f} GiB; raise the limit: ulimit -v unlimited."
        )


def quiet() -> None:
    """Silence what torch's own compiler says to its authors."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\._inductor")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.jit")


def interruptible() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as Python does by itself."""
    on_interrupt(signal.default_int_handler)


def on_interrupt(handler: Callable[[int, Any], Any]) -> None:
    """Set what Ctrl-C does, where it does anything: a job in a shell's background ignores it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
