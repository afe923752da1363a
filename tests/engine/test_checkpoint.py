"""The checkpoint: what it holds, that torch loads it safely, and that it is never half there."""

from pathlib import Path

import pytest
import torch
from toys import Line

from descend.engine import checkpoint
from descend.engine.checkpoint import save
from descend.engine.experiment import Experiment
from descend.engine.loop import Loop
from descend.optimizers.adam import Adam
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.sgd import SGD
from descend.optimizers.torch_optim import TorchOptim


def trained(optimizer: Optimizer) -> Loop:
    loop = Loop(Experiment(Line(), optimizer=optimizer, steps=4))
    list(loop)
    return loop


OPTIMIZERS = [Adam(), SGD(momentum=0.9), TorchOptim(name="Adam"), TorchOptim(name="LBFGS")]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: getattr(o, "name", type(o).__name__))
def test_it_loads_with_weights_only(tmp_path: Path, optimizer: Optimizer) -> None:
    loop = trained(optimizer)
    save(loop.carry, tmp_path / "checkpoint.pt")
    found = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    assert found["step"] == 4
    torch.testing.assert_close(found["params"], loop.carry.params, rtol=0, atol=0)
    torch.testing.assert_close(found["gradients"], loop.carry.gradients, rtol=0, atol=0)
    assert set(found) == {"params", "step", "aggregator", "gradients", "optimizer"}
    torch.testing.assert_close(
        torch.utils._pytree.tree_leaves(found["optimizer"]),
        torch.utils._pytree.tree_leaves(loop.carry.optimizer),
        rtol=0,
        atol=0,
    )


def test_a_state_with_an_object_in_it_is_left_out(tmp_path: Path) -> None:
    carry = trained(Adam()).carry._replace(optimizer={"inner": [object()]})
    save(carry, tmp_path / "checkpoint.pt")
    assert "optimizer" not in torch.load(tmp_path / "checkpoint.pt", weights_only=True)


def test_a_save_cut_short_leaves_the_old_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = trained(Adam())
    save(loop.carry, tmp_path / "checkpoint.pt")
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(content: object, file: object) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(OSError, match="No space"):
        save(loop.carry, tmp_path / "checkpoint.pt")
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
