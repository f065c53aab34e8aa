"""oneiro before ONNX's own backend suite: every case's outcome, grouped by operator.

`python tests/onnx_suite/suite.py` prints what passed; with `--update` it writes that to
ratchet.json, which never shrinks. excluded.json says why a case may fail; one that passes all the
same is a failure, so that the list stays true.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import unittest
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper
from onnx.backend.base import Backend, BackendRep
from onnx.backend.test import BackendTest
from onnx.backend.test.loader import load_model_tests

from oneiro import Net
from oneiro.importer import ModelWarning
from oneiro.layer import LAYERS, Missing

HERE = Path(__file__).parent
RATCHET = HERE / "ratchet.json"
EXCLUDED: dict[str, list[str]] = json.loads((HERE / "excluded.json").read_text())  # by reason

# operators: those that have a layer, and those that the importer turns into others
OPERATORS = sorted({*LAYERS, "Constant", "Scatter", "Upsample"})

# groups beside the operators: node cases again as the bodies of functions, and folders of models
EXPANDED = "expanded"
FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")
GROUPS = (*OPERATORS, EXPANDED, *FOLDERS)

FLOATS = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
INTEGERS = {getattr(TensorProto, f"{u}INT{bits}") for u in ("", "U") for bits in (8, 16, 32, 64)}
NUMBERS = FLOATS | INTEGERS | {TensorProto.BOOL}
COUNTED = {TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL}


class Case(NamedTuple):
    """What became of a case: "passed", "failed" or "skipped", and why."""

    name: str
    group: str  # the operator of a single node, else EXPANDED or the folder
    counted: bool  # a single node on float32, int64 and bool alone, and not in training?
    outcome: str
    reason: str


class Oneiro(Backend):
    """The face that the suite asks for."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device == "CPU"

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **_: Any) -> bool:
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **_: Any) -> Prepared:
        # SkipTest, for the suite counts its own BackendIsNotSupposedToImplementIt as a pass
        types = element_types(model)
        if not types <= NUMBERS:
            raise unittest.SkipTest("tensors of other types than NumPy's numbers")
        dtype = np.float64 if TensorProto.DOUBLE in types else np.float32
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", ModelWarning)  # weights that are not a number
            path = Path(folder, "model.onnx")
            path.write_bytes(model.SerializeToString())
            net = Net(path, dtype=dtype)
        layers = (node.layer for node in net.nodes)
        missing = sorted({layer.operator for layer in layers if isinstance(layer, Missing)})
        if missing and LAYERS.keys().isdisjoint(text.split()[0] for text in missing):
            raise unittest.SkipTest(f"no layer for {', '.join(missing)}")
        return Prepared(net, model)


class Prepared(BackendRep):
    """A Net that takes and gives arrays in the order of the file."""

    def __init__(self, net: Net, model: ModelProto) -> None:
        self.net = net
        self.types = {v.name: v.type.tensor_type.elem_type for v in model.graph.output}

    def run(self, inputs: Sequence[np.ndarray], **_: Any) -> list[np.ndarray]:
        with np.errstate(all="ignore"):  # infinities are asked for
            tops = self.net.forward(dict(zip(self.net.inputs, inputs, strict=True)))
        return [self.as_declared(np.asarray(tops[name]), name) for name in self.net.outputs]

    def as_declared(self, top: np.ndarray, name: str) -> np.ndarray:
        """All floats of a Net are of one type: here they are rounded to the file's."""
        dtype = helper.tensor_dtype_to_np_dtype(self.types[name])
        rounds = top.dtype == self.net.dtype and self.types[name] in FLOATS
        return top.astype(dtype) if rounds else top


def element_types(model: ModelProto) -> set[int]:
    """The element types of what goes in and comes out; 0 for what is no tensor."""
    return {v.type.tensor_type.elem_type for v in [*model.graph.input, *model.graph.output]}


@functools.cache
def tests() -> dict[str, tuple[str, bool, unittest.TestCase]]:
    """Group, whether it is counted, and the test, of every case by its name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their own arithmetic overflows here and there
        runner = BackendTest(Oneiro)
        single = {case.name: case.model for case in load_model_tests(kind="node")}
    groups = {case.name: kind for kind in FOLDERS for case in load_model_tests(kind=kind)}
    for name, model in single.items():
        groups[name] = EXPANDED if "_expanded" in name else model.graph.node[0].op_type
    for name in excluded():
        runner.xfail(f"^{name}_cpu$")
    found = {}
    for suite in runner.test_cases.values():
        for method in unittest.defaultTestLoader.getTestCaseNames(suite):
            name = method.removesuffix("_cpu")
            group = groups.get(name)
            if group is not None:
                counted = group in OPERATORS and element_types(single[name]) <= COUNTED
                found[name] = group, counted and "training" not in name, suite(method)
    return found


def excluded() -> dict[str, str]:
    """Cases that may fail, with the reason."""
    return {name: reason for reason, names in EXCLUDED.items() for name in names}


@functools.cache
def run(name: str) -> Case:
    """The outcome of one case."""
    group, counted, test = tests()[name]
    result = unittest.TestResult()
    test.run(result)
    if result.skipped:
        outcome, reason = "skipped", result.skipped[0][1]
    elif result.expectedFailures:
        outcome, reason = "skipped", excluded()[name]
    elif result.unexpectedSuccesses:
        outcome, reason = "failed", "passes: strike it from excluded.json"
    elif result.wasSuccessful():
        outcome, reason = "passed", ""
    else:
        outcome, reason = "failed", (result.errors + result.failures)[0][1]
    return Case(name, group, counted, outcome, reason)


def cases(group: str | None = None) -> list[Case]:
    """The outcomes of a group, or of all cases."""
    return [run(name) for name, (of, _, _) in tests().items() if group in (None, of)]


def passed(group: str) -> int:
    return sum(case.outcome == "passed" for case in cases(group))


def counted() -> list[Case]:
    return [case for case in cases() if case.counted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write ratchet.json")
    update = parser.parse_args().update
    for group in GROUPS:
        outcomes = [case.outcome for case in cases(group)]
        numbers = (f"{outcomes.count(word):4} {word}" for word in ("passed", "failed", "skipped"))
        print(f"{group:24}", *numbers)
        for case in cases(group):
            if case.outcome != "passed":
                print("   ", case.name, case.outcome, case.reason.strip().splitlines()[-1])
    share = [case.outcome == "passed" for case in counted()]
    print(f"on float32, int64 and bool alone: {sum(share)} of {len(share)} passed")
    if update:
        old = json.loads(RATCHET.read_text())
        same = old["onnx"] == onnx.__version__
        now = {group: passed(group) for group in GROUPS}
        fallen = {group for group, count in old["passed"].items() if now.get(group, 0) < count}
        if same and fallen:
            raise SystemExit(f"fewer pass than before: {', '.join(sorted(fallen))}")
        now = {"onnx": onnx.__version__, "passed": now}
        RATCHET.write_text(json.dumps(now, indent=2) + "\n")


if __name__ == "__main__":
    main()
