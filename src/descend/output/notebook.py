"""A notebook: whether this is one, and a progress bar in it."""

import sys
from html import escape


def in_notebook() -> bool:
    """Tell whether this process computes the cells of a notebook."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


class NotebookBar:
    """A progress bar below a cell. Rich's own needs ipywidgets; this one needs IPython alone, which a kernel has.

    Args:
        total: what is complete.
    """

    def __init__(self, total: int) -> None:
        from IPython.display import HTML, display

        self._total = total
        self._html = HTML
        self._shown = display(HTML(""), display_id=True)

    def show(self, done: int, text: str) -> None:
        """Draw how much is done, and a text beside it."""
        bar = f'<progress value="{done}" max="{self._total}" style="width: 40ex"></progress>'
        self._shown.update(self._html(f"{bar} <code>{done:,}/{self._total:,} {escape(text)}</code>"))

    def stop(self) -> None:
        """Take the bar away."""
        self._shown.update(self._html(""))
