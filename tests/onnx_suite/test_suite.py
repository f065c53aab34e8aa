"""What ONNX's own backend suite says about every operator that there is."""

import json

import onnx
import pytest

from onnx_suite import suite
from oracle.case import every
from oracle.node import WRONG

RATCHET = json.loads(suite.RATCHET.read_text())
pinned = pytest.mark.skipif(
    onnx.__version__ != RATCHET["onnx"], reason=f"counted with onnx {RATCHET['onnx']}"
)


@pytest.mark.parametrize("group", suite.GROUPS)
def test_no_case_fails_but_those_that_may(group: str) -> None:
    """Skipped are types that a Net does not have, operators without a layer, and excluded.json."""
    failures = [f"{c.name}: {c.reason}" for c in suite.cases(group) if c.outcome == "failed"]
    assert not failures, "\n".join(failures)


@pinned
def test_as_many_cases_pass_as_ever() -> None:
    """More is as wrong as fewer: `python tests/onnx_suite/suite.py --update` records them."""
    assert {group: suite.passed(group) for group in suite.GROUPS} == RATCHET["passed"]


@pinned
def test_exclusions_name_cases() -> None:
    assert suite.excluded().keys() <= suite.tests().keys()


def test_the_share_that_is_promised_passes() -> None:
    passed = [case.outcome == "passed" for case in suite.counted()]
    assert sum(passed) >= 0.97 * len(passed)


@pytest.mark.parametrize(("folder", "count"), [("pytorch-converted", 82), ("pytorch-operator", 35)])
def test_every_model_that_pytorch_wrote_passes(folder: str, count: int) -> None:
    assert suite.passed(folder) == count


def test_every_operator_is_judged() -> None:
    """By this suite, or by onnxruntime on the cases of tests/engine/layers/test_forward.py."""
    swept = {type(case.layer).__name__ for case in every().values()} - WRONG.keys()
    assert not [name for name in suite.OPERATORS if name not in swept and not suite.passed(name)]
