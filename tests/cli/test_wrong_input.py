"""Mistakes on the command line: one sentence, exit code 2, no traceback, no folder."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Command

RUN = Path(__file__).parents[2] / "run.py"

EXPRESSION = "objective=expression"

WRONG = {
    "choice": (["optimizer=adm"], r"optimizer=adm does not exist: .*adamax.*Did you mean 'adam'\?"),
    "choice of a long group": (["objective=rosenbrok"], r"Did you mean 'rosenbrock'"),
    "choice that is a number": (["optimizer=3"], r"Got int.*--help"),
    "choice in a group of a group": (["schedule=warmup", "schedule@schedule.then=cosin"], r"Did you mean 'cosine'"),
    "group": (["optimiser=adam"], r"optimiser does not exist.*Did you mean 'optimizer'\?"),
    "setting without a value": (["resume", "outputs"], r"resume is given no value; write it with an equals sign"),
    "space before the equals sign": (["optimizer", "=adam"], r"optimizer is given no value"),
    "command": (["comapre"], r"'comapre' is neither a setting.*nor a command.*Did you mean 'compare'\?"),
    "setting": (["stpes=3"], r"stpes does not exist.*Did you mean 'steps'\?"),
    "setting added": (["+foo=3"], r"foo does not exist: the menu has .*steps"),
    "rule": (["stop.valu=3"], r"stop.valu does not exist.*Did you mean 'value'\?"),
    "rule added": (["+stop.foo=3"], r"stop.foo does not exist.*gradient_norm"),
    "field": (["optimizer.lrr=1"], r"optimizer.lrr does not exist.*Did you mean 'lr'\?"),
    "field added": (["+optimizer.betaz=[0.9,0.9]"], r"optimizer.betaz does not exist.*Did you mean 'betas'\?"),
    "field deep inside": (["objective.network.hiden=[3]"], r"objective.network.hiden does not exist.*'hidden'"),
    "field of a metric": (["metrics.update_norm.evry=3"], r"metrics.update_norm.evry does not exist.*'every'"),
    "field of a tracker": (["+tracker.tensorboard.flush=3"], r"flush does not exist.*'flush_seconds'"),
    "type of a field": (["optimizer.lr=fast"], r"optimizer.lr is 'fast', but Adam expects a number"),
    "type of a list": (["objective.network.hidden=[8,x]"], r"hidden is \[8, 'x'\], but MLP expects a list"),
    "type of a setting": (
        ["steps=many"],
        r"steps is 'many', but it must be a whole number of steps",
    ),
    "fraction of a step": (["steps=1.5"], r"steps: Value '1.5' of type 'float' is incompatible.*int"),
    "learning rate below 0": (["optimizer.lr=-1"], r"Adam.lr is -1, but it must be above 0"),
    "learning rate nan": (["optimizer.lr=nan"], r"optimizer.lr is nan, but it must be a finite number"),
    "betas": (["optimizer.betas=[0.9,1.0]"], r"Adam.betas\[1\] is 1.0, but it must be at least 0 and below 1"),
    "too many betas": (["optimizer.betas=[0.9,0.9,0.9]"], r"optimizer.betas is .* a list of 2"),
    "steps": (["steps=-1"], r"steps is -1, but it must be at least 0"),
    "seed": (["seed=-1"], r"seed is -1, but it must be at least 0"),
    "tolerance": (["stop.gradient_norm=-1"], r"gradient_norm is -1.0, but it must be at least 0"),
    "interval": (["metrics.update_norm.every=0"], r"every is 0, but it must be at least 1"),
    "start": (["objective=rosenbrock", "objective.start=[1,2,3]"], r"start of 3 numbers, but dim is 2"),
    "dimension": (["objective=himmelblau", "objective.dim=3"], r"Himmelblau has dim=3, but it needs exactly 2"),
    "device that nobody has": (["device=gpu"], r"device is 'gpu'.*cuda"),
    "precision": (["dtype=int32"], r"dtype is 'int32', but derivatives need a floating dtype"),
    "threads": (["threads=0"], r"threads is 0, but it must be auto or a whole number"),
    "compile": (["compile=maybe"], r"compile is 'maybe', but it must be auto, true or false"),
    "batch": (["objective.batch_size=100000"], r"batch_size is 100000, but Digits has 1438 training examples"),
    "formula": ([EXPRESSION, "objective.formula=x**"], r"The formula 'x\*\*' does not parse at column"),
    "formula that would do harm": ([EXPRESSION, "objective.formula='__import__(1)'"], r"__import__"),
    "formula without parameters": ([EXPRESSION, "objective.formula='2+3'"], r"parameter"),
    "formula of a vector": (
        [EXPRESSION, "objective.formula=x*2", "objective.start={x: [1.0, 2.0]}"],
        r"tensor of shape \[2\], but a loss is one number",
    ),
    "formula nan at its start": (
        [EXPRESSION, "objective.formula='log(x)'", "objective.start={x: -1.0}"],
        r"is nan at the start",
    ),
    "start of text": ([EXPRESSION, "objective.start={x: deep}"], r"'x' starts at 'deep', which is not a number"),
    "class that is not there": (["objective._target_=nowhere.Mine"], r"No module named 'nowhere'.*PYTHONPATH"),
    "class of another kind": (["objective._target_=torch.nn.Linear"], r"only a subclass of descend\S*Objective"),
    "function for a class": (["objective._target_=os.getcwd"], r"only a subclass of descend\S*Objective"),
    "command for a class": (["objective._target_=os.system"], r"objective could not be made.*os.system"),
    "torch optimizer": (["optimizer=torch", "optimizer.name=Adafactr"], r"no such optimizer; did you mean Adafactor"),
    "option of a torch optimizer": (["optimizer=torch", "+optimizer.options={foo: 1}"], r"'foo', but Adafactor takes"),
    "quotes": (["objective.formula=log(x)"], r"""cannot be read.*quote it twice: objective.formula='"log\(x\)"'\."""),
    "no override at all": (["rosenbrock"], r"rosenbrock"),
    "taking a group away": (["~optimizer"], r"optimizer"),
    "rules for a number": (["stop=3"], r"stop: .*3"),
    "setting taken away": (["~steps"], r"steps was removed, but every run needs it"),
    "rules taken away": (["~stop"], r"stop was removed, but every run needs it"),
    "verbose for a mapping": (
        ["hydra.verbose={a: 1}"],
        r"is neither true, false, nor a list of the names of loggers",
    ),
    "parts for a list": (
        ["hydra.sweeper.params={optimizer.lr: 1}", "-m"],
        r"given a mapping.* as optimizer.lr=0.01,0.1",
    ),
    "tracker that is none": (["tracker.parquet={_target_: os.getcwd}"], r"a tracker is a class with the methods write"),
    "tracker made at once": (
        ["tracker.parquet._partial_=false"],
        r"tracker.parquet waits for the run's folder, so it needs _partial_: true",
    ),
    "text for a part": (
        ["metrics=curvature", "metrics.curvature.matrix=None"],
        r"'None', but Curvature expects Matrix",
    ),
    "class of another kind in a part": (
        ["metrics=curvature", "metrics.curvature.matrix={_target_: os.getcwd}"],
        r"matrix._target_ is os.getcwd, but only a subclass of .*Matrix can stand there",
    ),
    "infinite number": (["optimizer.lr=1e400"], r"optimizer.lr is inf, but it must be a finite number"),
    "infinite number in a list": (["optimizer.betas=[0.9,.inf]"], r"optimizer.betas"),
    "whole number that torch cannot take": (["seed=99999999999999999999"], r"seed is a whole number of 20 digits"),
    "digits without end": ([f"seed={'9' * 5000}"], r"^descend: .{,200}$"),
    "name without end": ([f"{'steps' * 1000}=3"], r"^descend: .{,600}$"),
    "text without end": ([f"optimizer.lr={'a' * 5000}"], r"^descend: .{,300}$"),
    "threads without end": (["threads=1000000"], r"threads is 1,000,000, but torch takes 1,024 at most"),
    "dimensions without end": (["objective=rosenbrock", "objective.dim=1000000000000"], r"dim=1,000,000,000,000"),
    "flag": (["--foo"], r"unrecognized arguments: --foo; --help"),
    "primary configuration": (["-cn", "nothere"], r"The configuration nothere does not exist: --config-name takes"),
    "launcher of an extra": (
        ["-m", "hydra/launcher=ray_aws"],
        r"hydra/launcher=ray_aws needs the extra 'ray', which is not installed: pip install -e '.\[ray\]'",
    ),
    "op that nothing takes": (["objective=rosenbrock", "op=gelu"], r"op=gelu is given, but the objective takes no op"),
    "field of an op that nothing takes": (["objective=rosenbrock", "+op.nothing=1"], r"op.nothing does not exist"),
    "shown, and wrong": (["objective=beale", "--cfg", "job", "optimizer.lrr=1"], r"optimizer.lrr does not exist"),
}


def assert_one_sentence(err: str, pattern: str) -> None:
    assert err.startswith("descend: ")
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert re.search(pattern, err), err
    assert err.rstrip()[-1] in ".?…'", err


@pytest.mark.parametrize("case", WRONG)
def test_one_sentence_and_nothing_left_behind(descend: Command, here: Path, case: str) -> None:
    arguments, pattern = WRONG[case]
    done = descend(*arguments)
    assert done.code == 2, done.err
    assert_one_sentence(done.err, pattern)
    assert done.out == ""
    assert not list(here.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_this_machine_lacks(descend: Command, here: Path) -> None:
    done = descend("device=cuda", "objective=rosenbrock")
    assert done.code == 2
    assert_one_sentence(done.err, r"device is 'cuda', but this machine offers torch 0 CUDA devices; use device=cpu")
    assert not list(here.iterdir())


OWN = """
from dataclasses import dataclass
import torch
from descend.objectives.objective import Objective

@dataclass(frozen=True)
class Own(Objective):
    def init(self, generator):
        return {"x": START}
    def losses(self, params, batch):
        x = params["x"]
        return LOSSES
"""

OWN_MISTAKES = {
    "whole": ("torch.tensor([5])", '{"y": x.sum()}', r"'x' has dtype torch.int64.*3.0 instead of 3"),
    "vector": ("torch.ones(2)", '{"y": x**2}', r"'y' of Own is a tensor of shape \[2\]"),
    "nan": ("torch.ones(2)", '{"y": (x - 2).log().sum()}', r"'y' of Own is nan at the start"),
    "raises": ("torch.ones(2)", '{"y": x @ torch.ones(3)}', r"Own.losses raised RuntimeError.*own_raises.py, line 12"),
    "missing": ("torch.ones(2)", '{"y": wrong}', r"Own.losses raised NameError.*'wrong'"),
    "syntax": ("torch.ones(2)", '{"y": ', r"importing that raised SyntaxError"),
}


@pytest.mark.parametrize("case", OWN_MISTAKES)
def test_a_mistake_in_an_objective_of_ones_own(descend: Command, here: Path, case: str) -> None:
    start, losses, pattern = OWN_MISTAKES[case]
    (here / f"own_{case}.py").write_text(OWN.replace("START", start).replace("LOSSES", losses))
    done = descend(f"objective._target_=own_{case}.Own")
    assert done.code == 2, done.err
    assert_one_sentence(done.err, pattern)
    assert not (here / "outputs").exists()


def test_as_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, str(RUN), "objective=rosenbrock", "optimizer.lr=-1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stdout == ""
    assert_one_sentence(done.stderr, r"lr is -1, but it must be above 0")
    assert not list(tmp_path.iterdir())
