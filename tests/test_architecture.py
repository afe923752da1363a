"""The rules of the design that the source itself can be asked about.

Where the code has taught better than the first drawing:

- Imports go from a higher layer to a lower one. Objectives, aggregators, optimizers and metrics share a layer and do
  not know each other, save that aggregators borrow the elementwise arithmetic and the Adam of the optimizers, and that
  metrics measure the distance from Pareto stationarity with the aggregators' Gramian and shortest combination.
- The engine names the contracts of metric and sink, and no metric and no sink.
- Sweeps compose their jobs by the menu, so they stand above it, and they share with it and the command line the
  knowledge of Hydra's grammar.
- The audit examines one function on the CPU for a person to read, and is never traced: it may look at numbers by
  `.item()`, and its tensors need not say where they lie.
- A sweep tells TensorBoard of its runs in one file of its own, `sweeps/pages.py`.
- Torch's private names are in one file, `graph/compat.py`. Operators of `torch.ops` are public, whatever their names:
  saved programs name them.
- Whole numbers may be made without a dtype, which is then int64 on every device.
- A formula calls its functions by name, `sum` among them, which is also the name of an aggregator.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = SOURCE / "descend"
FILES = sorted(SOURCE.rglob("*.py"))


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


LAYERS = [
    {"types", "errors", "scalars", "vectors", "checks", "records", "atomic", "memory", "devices", "kinds"},
    {"graph", "statistics"},
    {"ops", "derivatives", "schedules"},
    {"objectives", "aggregators", "optimizers", "metrics"},
    {"engine"},
    {"audit"},
    {"output"},
    {"landscapes"},
    {"menu"},
    {"sweeps"},
    {"cli", "__init__", "hydra_plugins"},
    {"__main__"},
]
GROUND = LAYERS[0]
SIDEWAYS = {
    *(("checks", "errors"), ("vectors", "types"), ("memory", "devices"), ("kinds", "types")),
    *(("aggregators", "optimizers"), ("metrics", "aggregators")),
}
READ_BY_METRICS = GROUND | {"graph", "derivatives", "aggregators"}

PLACED = {"tensor", "arange"}
FACTORIES = {"zeros", "ones", "full", "empty", "linspace", "logspace", "eye", "rand", "randn"}
DRAWS = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "rand_like", "randn_like"}

# What a step draws becomes the run's own by `graph.chance`, which takes no generator.
DRAWN_AT_A_STEP = {
    f"descend/{name}.py" for name in ("optimizers/hutchinson", "optimizers/psgd_kron", "objectives/labels")
}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def part_of(path: Path) -> str:
    inside = path.relative_to(SOURCE).with_suffix("").parts
    return inside[0] if inside[0] != "descend" else inside[1]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports when it runs; those for type checkers alone left out."""
    tree = parsed(path)
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    for_checkers = {id(node) for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from [node.module] if node.module != "descend" else [f"descend.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def own_imports(path: Path) -> set[str]:
    return {module for module in imports(path) if module.startswith("descend.")}


def calls(path: Path) -> Iterator[tuple[ast.Call, str, str]]:
    """Every call of an attribute: the call, what the attribute is of, and its name."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node, ast.unparse(node.func.value), node.func.attr


def test_every_part_has_its_layer() -> None:
    assert {part_of(path) for path in FILES} == set().union(*LAYERS)


def test_imports_point_one_way() -> None:
    height = {part: level for level, layer in enumerate(LAYERS) for part in layer}
    for path in FILES:
        here = part_of(path)
        for module in own_imports(path):
            there = module.split(".")[1]
            lower = height[there] < height[here] or there == here or (here, there) in SIDEWAYS
            assert lower, f"{name_of(path)} imports {module}"


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def named_modules(tree: ast.Module, modules: set[str]) -> set[str]:
    """Every module of ours that a file names in an import, wherever that stands, and be it for type checkers alone."""
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            named |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    own = named & modules
    return {name for name in own if not any(other.startswith(f"{name}.") for other in own)}


def on_circles(graph: dict[str, set[str]]) -> set[str]:
    """The modules from which one comes back to them by imports."""

    def reached(start: str) -> set[str]:
        found, pending = set[str](), [start]
        while pending:
            fresh = graph[pending.pop()] - found
            found |= fresh
            pending += fresh
        return found

    return {name for name in graph if name in reached(name)}


def test_no_two_modules_import_each_other() -> None:
    modules = {module_of(path) for path in FILES}
    assert not on_circles({module_of(path): named_modules(parsed(path), modules) for path in FILES})


def test_a_circle_is_found() -> None:
    modules = {"a", "b", "c", "d"}
    texts = {
        "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import B",
        "b": "import c",
        "c": "def f():\n    from a import A",
        "d": "import a",
    }
    assert on_circles({name: named_modules(ast.parse(text), modules) for name, text in texts.items()}) == {
        "a",
        "b",
        "c",
    }


TWO_HOMES = {
    "Loop": "the engine's loop over steps, and the op of the guide that is a loop over numbers",
    "Random": "the sampling of a sweep and the aggregator are both named as their choices in the menu",
    "aten": "torch's operators, under one short name",
    "main": "where a program begins",
}


def public_names(tree: ast.Module) -> set[str]:
    """The functions, classes and types that a module makes; constants in capitals are each module's own."""
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_") and not name.isupper()}


def test_a_public_name_means_one_thing() -> None:
    """The package's own functions (`descend.run`…) call those of the same names."""
    homes: dict[str, list[str]] = {}
    for path in FILES:
        for name in public_names(parsed(path)) if path != PACKAGE / "__init__.py" else ():
            homes.setdefault(name, []).append(name_of(path))
    assert {name: where for name, where in homes.items() if len(where) > 1 and name not in TWO_HOMES} == {}
    assert all(len(homes[name]) > 1 for name in TWO_HOMES)


def test_metrics_read_records_derivatives_and_aggregators_alone() -> None:
    read = {module.split(".")[1] for path in FILES if part_of(path) == "metrics" for module in own_imports(path)}
    assert read - {"metrics"} <= READ_BY_METRICS


def test_the_engine_knows_no_sink_and_no_metric() -> None:
    modules = {module for path in FILES if part_of(path) == "engine" for module in own_imports(path)}
    found = {module for module in modules if module.startswith(("descend.metrics", "descend.output"))}
    assert found == {"descend.metrics.metric"}


def importers(*packages: str) -> set[str]:
    return {name_of(path) for path in FILES if {module.split(".")[0] for module in imports(path)} & set(packages)}


def test_hydra_stays_at_the_boundary() -> None:
    parts = {part_of(SOURCE / name) for name in importers("hydra", "omegaconf")}
    assert parts == {"menu", "cli", "sweeps", "hydra_plugins"}


def test_tensorboard_stays_in_its_files() -> None:
    sinks = {
        f"{name}.py"
        for name in ("tensorboard", "event_file", "hparams", "tfrecord", "layout", "text", "comparison_text", "bands")
    }
    files = sinks | {"pages.py", "board.py"}
    assert {Path(name).name for name in importers("tensorboard")} <= files


def test_torch_optim_is_known_to_its_adapter_alone() -> None:
    users = {
        name_of(path)
        for path in FILES
        if any(
            isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.optim" for node in ast.walk(parsed(path))
        )
        or any(module.startswith("torch.optim") for module in imports(path))
    }
    assert users == {f"descend/optimizers/torch_{name}.py" for name in ("classes", "state")}


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def of_torch(tree: ast.Module) -> dict[str, str]:
    """By every name under which a file knows torch, or something it imported from torch: its full name."""
    known = {}
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else []:
            full = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if full.split(".")[0] == "torch":
                plain = isinstance(node, ast.Import) and not alias.asname  # `import torch.x` binds `torch`
                known[alias.asname or (alias.name.split(".")[0] if plain else alias.name)] = "torch" if plain else full
    return known


def private_names_of_torch(tree: ast.Module) -> set[str]:
    """The private names that a file imports from torch, or reaches through what it imported."""
    found, known = set(), of_torch(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            found.add(".".join([known.get(first, ""), *rest]))
    torch_alone = {name for name in found if name.startswith("torch.") and not name.startswith("torch.ops.")}
    return {name for name in torch_alone if is_private(name) and name.replace(".", "").isidentifier()}


def reached_through_objects(tree: ast.Module) -> set[str]:
    """The private attributes of others that a file names, as `x._name` or as "_name"."""
    others = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls")
    ]
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {name for name in (*others, *texts) if is_private(name) and name.isidentifier()}


COMPAT = PACKAGE / "graph" / "compat.py"


def test_private_names_of_torch_stay_in_one_file() -> None:
    of_compat = reached_through_objects(parsed(COMPAT))
    for path in FILES:
        if path != COMPAT:
            assert not private_names_of_torch(parsed(path)), name_of(path)
            assert not reached_through_objects(parsed(path)) & of_compat, name_of(path)


@pytest.mark.parametrize(
    "code",
    [
        "import torch._ops",
        "import torch.utils._pytree as pytree",
        "from torch import _inductor",
        "from torch._ops import OpOverload",
        "from torch.autograd.function import _SingleLevelFunction",
        "import torch\ntorch._C.get()",
        "import torch.nn.functional as F\nF._pad(x)",
        "from torch import Tensor\nTensor._make_wrapper_subclass",
        "def f():\n    from torch.utils import _pytree",
    ],
)
def test_a_private_name_of_torch_is_found(code: str) -> None:
    assert private_names_of_torch(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        "import torch\ntorch.__version__",
        "import torch\ntorch.ops.aten._to_copy",
        "from torch import Tensor\nTensor.__add__",
        "import numpy as np\nnp._private",
        "from descend.graph.compat import pytree",
        "self._op = _mine.torch._x",
    ],
)
def test_a_public_name_of_torch_is_left_alone(code: str) -> None:
    assert not private_names_of_torch(ast.parse(code))


def test_nothing_else_uses_backward_grad_or_item() -> None:
    found = {(name_of(path), attribute) for path in FILES for _, _, attribute in calls(path)}
    assert {name for name, attribute in found if attribute == "backward"} == set()
    items = {name for name, attribute in found if attribute == "item"}
    assert {part_of(SOURCE / name) for name in items} <= {"audit"}
    grads = {
        name_of(path)
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "grad"
        and ast.unparse(node.value) not in ("torch.autograd", "torch.func")
    }
    assert grads == {"descend/optimizers/torch_optim.py"}


def test_tensors_are_made_with_dtype_and_device_and_drawn_from_a_generator() -> None:
    found = ((path, *each) for path in FILES for each in calls(path))
    for path, call, owner, attribute in found:
        given = {keyword.arg for keyword in call.keywords}
        if owner != "torch" or None in given:  # None stands for **options
            continue
        where = f"{name_of(path)}, line {call.lineno}: torch.{attribute}"
        if attribute in FACTORIES:
            assert "dtype" in given, f"{where} without dtype"
        if attribute in FACTORIES | PLACED and part_of(path) != "audit":
            assert "device" in given, f"{where} without device"
        if attribute in DRAWS and name_of(path) not in DRAWN_AT_A_STEP:
            assert "generator" in given, f"{where} without a generator"


def test_no_choice_by_name() -> None:
    groups = ("objective", "optimizer", "aggregator")
    choices = {choice.stem for group in groups for choice in (SOURCE.parent / "conf" / group).glob("*.yaml")}
    for path in FILES:
        compared = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Compare)]
        texts = {text.value for node in compared for text in ast.walk(node) if isinstance(text, ast.Constant)}
        assert not texts & choices - ({"sum"} if path.name == "formula.py" else set()), name_of(path)


def test_no_drawer_for_everything() -> None:
    assert not [name_of(path) for path in FILES if path.stem in ("utils", "util", "helpers", "misc", "common")]


def test_functions_fit_a_screen() -> None:
    long = {
        f"{name_of(path)}:{node.name}": lines
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > 50
    }
    assert not long


def test_every_function_is_annotated() -> None:
    bare = [
        f"{name_of(path)}:{node.name}"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef) and node.returns is None
    ]
    assert not bare
