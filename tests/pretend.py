"""A pretend accelerator: real arithmetic on the CPU behind tensors that keep CUDA's rules, and counters.

There is no GPU where the tests run. A tensor on the device `pretend` holds a tensor on the CPU, which computes; around
every operation stand the rules that CUDA has on mixing devices:

- an operation takes tensors of one device; only a number [] of the CPU may stand beside them, and only where the
  operation works entry by entry (`torch.cat` and `torch.stack` refuse even that);
- indices may lie on the CPU (they are copied there, at a cost), but indices on the device into a tensor on the CPU may
  not;
- a generator must be of the device on which it is drawn;
- what lies on the device is no NumPy array, and is pickled by nobody.

Each operation is counted where it costs something on a real accelerator, together with the line of descend that asked
for it: a launch of a kernel, a copy from or to the host, and a synchronisation, where the host waits for the device.
Counts of launches are counts of operators: torch launches several kernels for some of them.

What it cannot show: other rounding, streams and races, kernels that CUDA lacks, memory that runs out, and torch's fused
and `foreach` optimizers, which take only plain tensors.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
COUNT = 2
"""How many such devices there are."""

aten = torch.ops.aten
CPU = torch.device("cpu")

# They take tensors of two devices: that is what they are for, or CUDA copies what they lack.
CROSSING = {aten.copy_, aten._to_copy, aten.copy, aten.set_}
INDEXED = {aten.index, aten._unsafe_index, aten.index_put, aten.index_put_, aten._index_put_impl_}

# Besides those that torch tags so: entry by entry, so that a number [] of the CPU may stand beside tensors.
ENTRYWISE = {aten.masked_fill, aten.masked_fill_, aten.fill_, aten.where, aten.lerp, aten.lerp_, *INDEXED}

# They look at the numbers to know the shape of what they return, or whether to raise: the host waits.
WAITING = {
    aten.nonzero, aten.masked_select, aten._unique2, aten.unique_dim, aten.unique_consecutive, aten.bincount,
    aten.equal, aten.is_nonzero, aten._linalg_eigh, aten._linalg_svd, aten._linalg_solve_ex, aten.linalg_cholesky_ex,
    aten.linalg_inv_ex, aten.linalg_lstsq, aten.linalg_eig,
}  # fmt: skip

# No kernel: they only say where numbers lie, or will.
EMPTY = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten.set_}
VIEWS = {aten._unsafe_view, aten.detach, aten.alias, aten.lift_fresh, aten._reshape_alias}


class WrongDevice(RuntimeError):
    """Tensors or generators of different devices met, as CUDA would refuse it."""


@dataclass
class Counts:
    """What was counted, by (operation, line of descend).

    Attributes:
        launches: operations that start a kernel.
        copies: of tensors from the host to the device and back.
        waits: synchronisations.
    """

    launches: Counter[tuple[str, str]] = field(default_factory=Counter)
    copies: Counter[tuple[str, str]] = field(default_factory=Counter)
    waits: Counter[tuple[str, str]] = field(default_factory=Counter)

    def at(self, kind: str, file: str) -> int:
        """Return how many of a kind came from a file of descend."""
        found: Counter[tuple[str, str]] = getattr(self, kind)
        return sum(count for (_, line), count in found.items() if line.startswith(f"{file}:"))


COUNTING: list[Counts] = []


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what happens inside the block."""
    counts = Counts()
    COUNTING.append(counts)
    try:
        yield counts
    finally:
        COUNTING.remove(counts)


def line() -> str:
    """Return the innermost line of descend that is being carried out, as `engine/loop.py:12`."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        _, found, path = frame.f_code.co_filename.replace("\\", "/").rpartition("/src/descend/")
        if found:
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere:0"


def count(kind: str, packet: Any) -> None:
    """Count an operation for everyone who counts."""
    if COUNTING:
        key = packet if isinstance(packet, str) else packet._qualified_op_name.removeprefix("aten::"), line()
        for counts in COUNTING:
            getattr(counts, kind)[key] += 1


class Pretend(Tensor):
    """A tensor on a pretend device; `held` is the tensor on the CPU that has its numbers."""

    held: Tensor
    __module__ = "torch"  # as the engine sees it, a part of torch
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor, device: torch.device) -> "Pretend":
        made: Pretend = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=device,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return carry_out(func, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.held!r} on {self.device}"

    def tolist(self) -> Any:
        count("waits", "tolist")
        count("copies", "tolist")
        return self.held.detach().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        return memo.setdefault(id(self), self.detach().clone().requires_grad_(self.requires_grad))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"a tensor on {self.device} would be pickled: whoever loads it needs such a device")


def carry_out(func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Carry out an operation on the CPU, having looked at who meets whom, and count it."""
    flat = flattened(args, kwargs)
    there = [x for x in flat if isinstance(x, Pretend)]
    if func is aten._efficientzerotensor.default:  # one without memory, which nothing below can look into
        func = aten.zeros.default
    packet = func.overloadpacket
    device = result_device(flat, kwargs, there, packet)
    check(func, flat, there, device)
    own = {id(x.held): x for x in there}

    def bare(x: Any) -> Any:
        return x.held if isinstance(x, Pretend) else CPU if isinstance(x, torch.device) else x

    found = func(*[mapped(bare, x) for x in args], **{name: mapped(bare, x) for name, x in kwargs.items()})
    if torch.Tag.inplace_view in func.tags and there:  # the wrapper's shape has to follow
        with no_dispatch():
            func(*args, **kwargs)
    note(func, flat, there, device)

    def placed(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if id(x) in own:
            same = own[id(x)]
            if packet is aten._to_copy and device != same.device:
                return x.clone() if device == CPU else Pretend(x.clone(), device)
            assert same.size() == x.size(), f"{func} changed a shape in place"
            return same
        return x if device == CPU else Pretend(x, device)

    if packet is aten._to_copy and any(found is bare(x) for x in flat):
        found = found.clone()
    return mapped(placed, found)


def flattened(args: tuple, kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments of an operation, those inside lists one by one: an operator takes nothing nested deeper."""
    return [x for value in (*args, *kwargs.values()) for x in (value if isinstance(value, list | tuple) else (value,))]


def mapped(change: Callable[[Any], Any], value: Any) -> Any:
    """Return an argument or a result of an operation changed; a list, each of its entries."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return list(map(change, value)) if isinstance(value, list) else change(value)


def result_device(flat: list[Any], kwargs: dict[str, Any], there: list[Pretend], packet: Any) -> torch.device:
    """Return where the result of an operation lies."""
    asked = kwargs.get("device")
    if asked is not None:
        found = torch.device(asked)
        return found if found.type == "cpu" else torch.device(found.type, found.index or 0)
    first = next((x for x in flat if isinstance(x, Tensor)), None)
    if first is not None and (packet in CROSSING or packet in INDEXED):
        return first.device
    return there[0].device if there else CPU


def check(func: Any, flat: list[Any], there: list[Pretend], device: torch.device) -> None:
    """Refuse what CUDA refuses."""
    packet = func.overloadpacket
    here = [x for x in flat if isinstance(x, Tensor) and not isinstance(x, Pretend)]

    def told() -> str:
        shapes = ", ".join(f"{list(x.shape)} on {x.device}" for x in flat if isinstance(x, Tensor))
        return f"{func} at {line()}: {shapes}"

    for generator in (x for x in flat if isinstance(x, torch.Generator)):
        if generator.device.type != device.type:
            raise WrongDevice(f"a generator on {generator.device} draws on {device}: {told()}")
    if packet in CROSSING:
        return
    if any(x.device != there[0].device for x in there):
        raise WrongDevice(f"Expected all tensors to be on the same device: {told()}")
    if not there or not here:
        return
    first = next(x for x in flat if isinstance(x, Tensor))
    if packet in INDEXED:
        if not isinstance(first, Pretend):
            raise WrongDevice(f"indices should be on the CPU, as the indexed tensor is: {told()}")
        here = [x for x in here if not is_index(x)]
    entrywise = torch.Tag.pointwise in func.tags or packet in ENTRYWISE
    written = func._schema.is_mutable and not isinstance(first, Pretend)
    if any(x.dim() for x in here) or (here and not entrywise) or written:
        raise WrongDevice(f"Expected all tensors to be on the same device: {told()}")


def is_index(x: Tensor) -> bool:
    """Tell whether a tensor can be an index."""
    return not x.is_floating_point()


def note(func: Any, flat: list[Any], there: list[Pretend], device: torch.device) -> None:
    """Count what an operation costs."""
    packet = func.overloadpacket
    tensors = [x for x in flat if isinstance(x, Tensor)]
    if packet is aten._local_scalar_dense:
        if there:
            count("waits", packet)
            count("copies", packet)
        return
    if packet in CROSSING and tensors:
        source = tensors[-1].device
        if source.type != device.type:
            count("copies", packet)
            if device == CPU:
                count("waits", packet)
            return
    if packet in INDEXED and there and any(x.device == CPU for x in tensors):
        count("copies", packet)
    if packet in WAITING and there:
        count("waits", packet)
    if device != CPU and packet not in EMPTY and not is_view(func):
        count("launches", packet)


def is_view(func: Any) -> bool:
    """Tell whether an operation returns a view of what it is given."""
    returns = func._schema.returns
    shares = [x.alias_info is not None and not x.alias_info.is_write for x in returns]
    return func.overloadpacket in VIEWS or (bool(shares) and all(shares))


class Module:
    """What torch asks of a device by `torch.pretend`."""

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def device_count() -> int:
        return COUNT

    @staticmethod
    def current_device() -> int:
        return 0

    @staticmethod
    def _is_in_bad_fork() -> bool:
        return False

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """What is drawn on the device comes from the CPU's generator, which is seeded beside this one."""
        count("waits", "manual_seed_all")

    @staticmethod
    def get_rng_state(device: Any = None) -> Tensor:
        count("waits", "get_rng_state")
        return torch.zeros(16, dtype=torch.uint8)

    @staticmethod
    def set_rng_state(state: Tensor, device: Any = None) -> None:
        if state.device != CPU or state.dtype != torch.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        count("waits", "set_rng_state")


# Torch takes these as a whole on CUDA. For a device that it does not know it makes the first by writing into an empty
# tensor whose shape it changes, and the last of simpler operations, which round otherwise.
WHOLE = (
    "arange", "arange.start", "arange.start_step", "eye", "eye.m", "linspace", "logspace", "randperm",
    "randperm.generator", "tril_indices", "triu_indices", "range", "range.step", "silu_backward", "mish_backward",
)  # fmt: skip

REGISTERED: list[torch.library.Library] = []


def register() -> None:
    """Make the device known to torch, once in a process; nobody else can then have the place that torch keeps free."""
    if REGISTERED:
        return
    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    torch._C._set_only_lift_cpu_tensors(True)
    every, own = torch.library.Library("_", "IMPL", "PrivateUse1"), torch.library.Library("aten", "IMPL", "PrivateUse1")
    REGISTERED.extend([every, own])
    every.fallback(lambda func, *args, **kwargs: carry_out(func, args, kwargs), "PrivateUse1")
    for name in WHOLE:
        packet, _, overload = name.partition(".")
        func = getattr(getattr(aten, packet), overload or "default")
        own.impl(name, lambda *args, func=func, **kwargs: carry_out(func, args, kwargs), "PrivateUse1")


def memory(x: Tensor) -> int:
    """Return what tells one piece of memory from another: a wrapper has none of its own."""
    return (x.held if isinstance(x, Pretend) else x).untyped_storage()._cdata
