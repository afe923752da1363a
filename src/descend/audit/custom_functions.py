"""Finds what a custom autograd Function lacks, from its class."""

import torch

CustomFunction = type[torch.autograd.Function]


def shortcoming(function: CustomFunction) -> str:
    """One sentence on what will raise or go wrong because of how `function` is written; empty where nothing will."""
    base = torch.autograd.Function
    found = []
    if function.setup_context is base.setup_context:
        found.append("its forward takes ctx, so every torch.func transform raises (save in setup_context)")
    elif not function.generate_vmap_rule and function.vmap is base.vmap:
        found.append("it has no vmap rule, so vmap raises (set generate_vmap_rule = True)")
    if function.jvp is base.jvp:
        found.append("it has no jvp, so forward mode raises")
    return f"{function.__qualname__} is a custom Function: {'; '.join(found)}." if found else ""
