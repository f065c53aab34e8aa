"""Every layer, there and back by each rule, is a model that says what the layer says."""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest

from oneiro.export.writer import OPSET, as_model
from oneiro.kernels.symbol import Graph, Symbol
from oneiro.layer import RULES
from oneiro.trace import Trace
from oracle.adjoint import as_tuple
from oracle.case import Case, every
from oracle.node import in_float32
from oracle.runtime import by_evaluator, by_openvino, session

CASES = every()
MOVED = {name: case for name, case in CASES.items() if case.towards}
ONE_OF_EACH = {name: case for name, case in MOVED.items() if name.endswith("-0")}

# They have an operand as large as the picture.
SIZED = ("Expand", "LayerNormalization", "RMSNormalization")
# What ONNX's evaluator does not compute, or not rightly.
UNEVALUATED = {
    "Col2Im": "it takes the strides of both axes for one",
    "GatherElements": "it wants an index for every element",
    "GlobalMaxPool": "over other than two axes",
    "ScatterElements": "it wants an index for every element",
}
# OpenVINO takes long to compile, and so it sees all cases of these only, and one of each other.
WINDOWS = ("AveragePool", "Conv", "ConvTranspose", "LRN", "MaxPool")
UNREAD = {"ScatterElements": "it wants an index for every element"}


def takes_any_size(case: Case) -> bool:
    """Does it read a picture that may have any size? A border that wraps must not be wider."""
    if case.layer.kind in SIZED or getattr(case.layer, "mode", "") == "wrap":
        return False
    return case.towards[0] == 0 and case.bottoms[0].ndim == 4


def is_evaluated(case: Case) -> bool:
    """Does ONNX's evaluator know it? Of ConvTranspose it has only groups of one filter."""
    return case.layer.kind not in UNEVALUATED and getattr(case.layer, "group", 1) == 1


def each(names: Iterable[str]) -> Any:
    """A test for each operator, of these of its cases."""
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(CASES[name].layer.kind, []).append(name)
    return pytest.mark.parametrize("names", by_kind.values(), ids=by_kind)


class Written(NamedTuple):
    """A model, what to feed it, and what the layer makes of that."""

    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    wanted: dict[str, np.ndarray]


@functools.cache
def written(name: str, tied: bool = False, free: bool = False, opset: int = OPSET) -> Written:
    """A case as a model of its forward and, by each rule, its backward, from random diffs.

    `tied`: the bottoms are whole numbers, many of them equal, and on the kinks of rectifiers.
    `free`: the picture has any height and width, and the other bottoms stand in the model.
    """
    case = CASES[name]
    bottoms = [in_float32(b) if isinstance(b, np.ndarray) else b for b in case.bottoms]
    for k in case.towards if tied else ():
        bottoms[k] = np.asarray(np.rint(bottoms[k]))
    numbers = case.layer.numbers
    read = [k for k, b in enumerate(bottoms) if isinstance(b, np.ndarray) and k not in numbers]
    read = [0] if free else [*(case.towards or read)]
    feeds = {f"x{k}": bottoms[k] for k in read}
    random = np.random.default_rng(0)

    def drawn(name: str, top: np.ndarray) -> np.ndarray:
        feeds[name] = random.normal(size=top.shape).astype(np.float32)
        return feeds[name]

    with np.errstate(all="ignore"):
        wanted = there_and_back(case, bottoms, drawn)

    graph = Graph()
    for k in read:
        dims = (*bottoms[k].shape[:2], None, None) if free else bottoms[k].shape
        bottoms[k] = graph.input(f"x{k}", bottoms[k].dtype, dims)
    results = {
        key: result if isinstance(result, Symbol) else graph.constant(np.asarray(result))
        for key, result in there_and_back(
            case, bottoms, lambda key, top: graph.input(key, np.float32, top.dims)
        ).items()
        if not free or key[-1] == "0"
    }
    shapes = {
        given.name: [f"{given.name}_{k}" if n is None else n for k, n in enumerate(given.dims)]
        for given in graph.inputs
    }
    no_net: Any = SimpleNamespace(blobs={}, constants={})
    model = as_model(Trace(graph, results, no_net), shapes, opset=opset)
    return Written(model, feeds, {key: np.asarray(wanted[key]) for key in results})


def there_and_back(
    case: Case, bottoms: list[Any], seed: Callable[[str, Any], Any]
) -> dict[str, Any]:
    """The tops of a layer, and by each rule the diffs of its bottoms from seed(name, top)."""
    tops = as_tuple(case.layer.forward(*bottoms))
    results = {f"top{k}": top for k, top in enumerate(tops)}
    if not case.towards:
        return results
    diffs = [seed(f"diff{k}", top) for k, top in enumerate(tops)]
    for rule, way in RULES.items():
        found = as_tuple(getattr(case.layer, way)(*diffs))
        # deconv sends back to the picture's side alone
        results |= {f"{rule}{k}": found[k] for k in case.towards if k < len(found)}
    return results


def check(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], name: str) -> None:
    for key, truth in wanted.items():
        assert found[key].dtype == truth.dtype, (name, key)
        scale = np.abs(truth[np.isfinite(truth)]).max(initial=0)
        np.testing.assert_allclose(found[key], truth, 1e-5, 1e-6 * scale, err_msg=f"{name}: {key}")


@each(CASES)
def test_in_onnxruntime(names: list[str]) -> None:
    for name in names:
        for tied in (False, True) if name in MOVED else (False,):
            model, feeds, wanted = written(name, tied)
            check(session(model)(**feeds), wanted, name)


@each(name for name, case in MOVED.items() if takes_any_size(case))
def test_for_pictures_of_any_size(names: list[str]) -> None:
    for name in names:
        try:
            model, feeds, wanted = written(name, free=True)
        except NotImplementedError as error:
            if not str(error).endswith(": trace it for one size"):
                raise
        else:
            check(session(model)(**feeds), wanted, name)


@each(ONE_OF_EACH)
def test_in_operators_of_other_versions(names: list[str]) -> None:
    for name, opset in itertools.product(names, (17, 21)):
        model, feeds, wanted = written(name, opset=opset)
        assert model.opset_import[0].version == opset
        check(session(model)(**feeds), wanted, name)


@each(name for name, case in MOVED.items() if is_evaluated(case))
def test_in_the_reference_evaluator(names: list[str]) -> None:
    for name in names:
        model, feeds, wanted = written(name, tied=True)
        check(by_evaluator(model, feeds), wanted, name)


@each(
    name
    for name, case in MOVED.items()
    if case.layer.kind not in UNREAD and (name in ONE_OF_EACH or case.layer.kind in WINDOWS)
)
def test_in_openvino(names: list[str]) -> None:
    for name in names:
        model, feeds, wanted = written(name, tied=True)
        check(by_openvino(model, feeds), wanted, name)
