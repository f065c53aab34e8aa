"""`oneiro export` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from oracle import small

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def export(told: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """export("model.onnx", ...): the exit code, and what stderr says."""
    monkeypatch.chdir(tmp_path)
    onnx.save(small.branches(), "branches.onnx")
    return functools.partial(told, "export")


def test_without_a_word(export: Command) -> None:
    for name in ("squeezenet1.1-saliency.onnx", "squeezenet1.1-saliency-2.onnx"):
        assert export("squeezenet1.1", "--what", "saliency") == (0, f"wrote {name} (5.0 MB)\n")
    model = onnx.load("squeezenet1.1-saliency.onnx")
    assert [info.name for info in model.graph.input] == ["picture", "class"]


def test_every_option(export: Command) -> None:
    options = ("--what", "step", "-e", "mixed:1=2", "-e", "end", "--pixels", "uint8")
    more = ("--size", "13,18", "--opset", 17, "--preprocess", "torch")
    code, said = export("branches.onnx", "step.onnx", *options, *more)
    assert (code, said[:16]) == (0, "wrote step.onnx ")
    model = onnx.load("step.onnx")
    picture = model.graph.input[0].type.tensor_type
    assert picture.elem_type == onnx.TensorProto.UINT8
    assert [size.dim_value for size in picture.shape.dim] == [1, 13, 18, 3]
    assert model.opset_import[0].version == 17


def test_a_network_that_is_not_known_as_it_stands(export: Command) -> None:
    assert export("branches.onnx", "--end", "mixed", "--input", "net")[0] == 0
    names = [info.name for info in onnx.load("branches-gradient.onnx").graph.input]
    assert names == ["data", "channel", "row", "column"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("none.onnx",), 1, "none.onnx"),
        (("branches.onnx",), 1, "give --preprocess"),
        (("branches.onnx", "--what", "step", "--input", "net"), 1, "give --preprocess"),
        (("squeezenet1.1",), 1, "name one as end"),
        (("squeezenet1.1", "-e", "fire"), 1, "no blob or layer 'fire'"),
        (("squeezenet1.1", "nowhere/out.onnx", "-w", "saliency"), 1, "no such folder"),
        (
            ("branches.onnx", "branches.onnx", "-e", "end", "--input", "net"),
            2,
            "the network itself",
        ),
        (("squeezenet1.1", "-w", "sleep"), 2, "'sleep' is not one of"),
        (("squeezenet1.1", "-w", "saliency", "--opset", 5), 1, "opset 5 has no form"),
    ],
)
def test_what_makes_no_sense(
    export: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended, told = export(*arguments)
    assert ended == code
    assert said in told
    assert "Traceback" not in told
