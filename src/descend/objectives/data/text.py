"""A text for learning to predict its next character."""

import importlib.util
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.objectives.data.dataset import Dataset, Examples, check_fits
from descend.objectives.data.files import reading, stamp
from descend.objectives.data.shuffled import share


@dataclass(frozen=True)
class Text(Dataset):
    """A text in windows that do not overlap: inputs [n, context] of tokens, targets [n, context] of the next tokens.

    The windows stay in the order of the text: its first part is for training, the next for validation, the last for
    testing. Tokens are characters, numbered in the order of their code points, or bytes. The rest after the last whole
    window is left out.

    Args:
        path: the file, in UTF-8; None takes the help texts about the language that ship with Python, 0.76 MB of
            English.
        tokens: `characters` or `bytes`.
        context: tokens in a window.
    """

    path: str | None = None
    tokens: str = "characters"
    context: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "context", at_least=1)
        if self.tokens not in ("characters", "bytes"):
            raise ConfigurationError(f"Text.tokens is {self.tokens!r}, but it must be characters or bytes.")

    def __str__(self) -> str:
        return self.path or "the text of Python's help"

    def version(self) -> Hashable:
        return stamp(self._file())

    def _file(self) -> str:
        return help_of_python() if self.path is None else self.path

    def load(self) -> Examples:
        tokens, kinds = self._tokens()
        parts = 3 if self.validation_fraction else 2
        windows = (len(tokens) - 1) // self.context
        if windows < parts:
            raise ConfigurationError(
                f"{self} has {len(tokens):,} {self.tokens}, but {parts} windows of context={self.context} need "
                f"{parts * self.context + 1:,}; give it a longer text, or choose a smaller objective.data.context."
            )
        used = windows * self.context
        return Examples(tokens[:used].view(windows, -1), tokens[1 : used + 1].view(windows, -1), classes=kinds)

    def _tokens(self) -> tuple[Tensor, int]:
        """Return the whole text as token numbers, int64, and the size of the vocabulary."""
        place = Path(self._file()).expanduser()
        check_fits(self, place.stat().st_size)
        with reading(self):
            if self.tokens == "bytes":
                return torch.from_numpy(np.fromfile(place, dtype=np.uint8).astype(np.int64)), 256
            points = np.frombuffer(place.read_text(encoding="utf-8").encode("utf-32-le"), dtype=np.uint32)
        letters, numbers = np.unique(points, return_inverse=True)
        return torch.from_numpy(numbers.astype(np.int64)), len(letters)

    def part_indices(self, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        windows = len(examples.inputs)
        tested = share(self.test_fraction, windows, windows)
        validated = share(self.validation_fraction, windows, windows - tested)
        sizes = [windows - tested - validated, validated, tested]
        train, validation, test = torch.arange(windows, device="cpu").split(sizes)
        return train, validation, test

    def scaled(self, examples: Examples, train: Tensor) -> tuple[Tensor, Tensor]:
        return examples.inputs, examples.targets


@cache
def help_of_python() -> str:
    """Return the file of help texts that ships with Python."""
    found = importlib.util.find_spec("pydoc_data.topics")
    if found is None or found.origin is None:
        raise ConfigurationError(
            "This Python comes without pydoc_data/topics.py; name a text of your own by objective.data.path."
        )
    return found.origin
