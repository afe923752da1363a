"""What each parameter of a network is: a weight, a bias, a part of a normalisation…"""

from descend.types import Params

KINDS = ("matrix", "convolution", "embedding", "bias", "norm", "vector", "tensor")
"""Every parameter is of one of these kinds."""


def usual_kinds(params: Params) -> dict[str, str]:
    """Return the kind of each parameter as its name and shape tell it, following the names that torch's layers use.

    A name ends in `bias` or `weight` (or has one of them in its last part, as an LSTM's `weight_ih_l0`):

    - `norm`: a weight of at most one dimension, and the bias beside it;
    - `bias`: any other bias;
    - `matrix`: two dimensions;
    - `convolution`: a weight of three dimensions or more;
    - `vector`, `tensor`: all others, of at most one dimension, and of three or more.

    An embedding is a matrix here: its shape cannot tell it.
    """
    return {name: usual_kind(name, params) for name in params}


def usual_kind(name: str, params: Params) -> str:
    """Return the kind of one parameter, as `usual_kinds` has it."""
    layer, _, own = name.rpartition(".")
    dimensions = params[name].dim()
    if "bias" in own:
        beside = params.get(".".join(filter(None, (layer, own.replace("bias", "weight")))))
        return "norm" if beside is not None and beside.dim() <= 1 else "bias"
    if dimensions == 2:
        return "matrix"
    if "weight" in own:
        return "norm" if dimensions <= 1 else "convolution"
    return "vector" if dimensions <= 1 else "tensor"
