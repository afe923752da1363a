"""Values that would leave torch unseen while a function is recorded."""

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

from descend.errors import Untraceable
from descend.graph.compat import pytree

LEAVING = ("numpy", "__array__", "tolist", "__dlpack__", "__deepcopy__", "__reduce_ex__", "apply_", "map_", "map2_")
"""Methods by which the values of a tensor leave torch without an operation that a recorder sees."""

OF_LISTS = ("tensor", "as_tensor", "asarray", "new_tensor")
"""Functions that read the values of tensors within a list; of a tensor by itself they make an operation."""


class ValuesStay(TorchFunctionMode):
    """Refuses, above the operations that a recorder sees, that values which it records leave torch.

    They would be constants in the recording, and what is computed from them wrong at every other point.

    Args:
        follows: tells whether a tensor was computed from the recording's inputs.
    """

    def __init__(self, follows: Callable[[Any], bool]) -> None:
        super().__init__()
        self._follows = follows

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = getattr(func, "__name__", None)
        if name in LEAVING or name in OF_LISTS:
            given = [*args, *(kwargs or {}).values()]
            read = given[:1] if name in LEAVING else [x for x in given if isinstance(x, list | tuple)]
            if any(self._follows(x) for x in pytree.tree_leaves(read)):
                raise Untraceable(f"the value of a tensor leaves torch ({name})")
        return func(*args, **(kwargs or {}))
