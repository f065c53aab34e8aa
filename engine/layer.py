"""What every layer is: forward, backward, and what the rules of the rectifiers change."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, TypeVar, dataclass_transform

from oneiro.kernels.dispatch import Array
from oneiro.kernels.relu import relu

L = TypeVar("L", bound="type[Layer]")

LAYERS: dict[str, type[Layer]] = {}  # ONNX op_type -> class

RULES = {
    "gradient": "backward",
    "guided": "backward_guided",
    "deconv": "backward_deconv",
    "deconv-overwrite": "backward_overwrite",  # where windows of a MaxPool overlap, the last wins
}


@dataclass_transform()
def layer(cls: L) -> L:
    """Register a Layer class under its own name, which is the ONNX op_type."""
    dataclasses.dataclass(cls)
    LAYERS[cls.__name__] = cls
    return cls


class Layer:
    """An ONNX operator: its attributes are the fields, its inputs the arguments of `forward`.

    `forward` returns the top, or a tuple of tops, and keeps on `self` what the way back needs.
    `backward` takes a diff for each top and returns one for each bottom, None for those that
    have none (integers, conditions); a layer that is not `differentiable` needs no `backward`. A
    constant needs no diff: `needs` says which bottoms do, and a layer may skip the others where
    that saves work. Both are written over kernels and NumPy functions alone, so that they run on
    any array and on symbols: they never branch on data, write into arrays, or turn sizes into
    numbers.
    """

    numbers: ClassVar[tuple[int, ...]] = ()  # operands read as numbers: no symbols in a trace
    reads_values = True  # False: only the shapes of its bottoms matter
    differentiable = True  # False: integers come out, and nothing goes back
    needs: tuple[bool, ...] = ()  # which bottoms want a diff; the importer fills it in
    asked: int = 1  # how many tops somebody reads; the importer fills it in

    def forward(self, *bottoms: Any) -> Any:
        """The tops."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, *diffs: Any) -> Any:
        """The gradient: the diffs of the bottoms from those of the tops."""
        if self.differentiable:
            raise NotImplementedError(f"{type(self).__name__} has no backward")

    def backward_guided(self, *diffs: Any) -> Any:
        """As `backward`, but for rectifiers."""
        return self.backward(*diffs)

    def backward_deconv(self, *diffs: Any) -> Any:
        """As `backward`, but for rectifiers."""
        return self.backward(*diffs)

    def backward_overwrite(self, *diffs: Any) -> Any:
        """As `backward_deconv`, but for pools of maxima."""
        return self.backward_deconv(*diffs)

    @property
    def kind(self) -> str:
        """The ONNX op_type."""
        return type(self).__name__

    def needs_diff(self, bottom: int) -> bool:
        """Does anything want the diff of this bottom?"""
        return not self.needs or (bottom < len(self.needs) and self.needs[bottom])


class Missing(Layer):
    """Stands for an operator that has no layer: what does not depend on it works all the same."""

    differentiable = False

    def __init__(self, operator: str) -> None:
        self.operator = operator

    @property
    def kind(self) -> str:
        """The op_type of the operator, with its domain."""
        return self.operator

    def forward(self, *bottoms: Any) -> Any:
        """Cannot be had."""
        raise NotImplementedError(f"there is no layer for {self.operator}")

    def backward(self, *diffs: Any) -> Any:
        """Cannot be had: nothing may pass for a gradient here."""
        raise NotImplementedError(f"there is no layer for {self.operator}")


class Activation(Layer):
    """A function of each element on its own: what the rules are counted against."""

    rectifies = False  # do the guided and deconv rules act on it?


class Rectifier(Activation):
    """An activation that holds negative values back, so that the papers' rules apply to it.

    With R(d) = max(d, 0): deconv (Zeiler & Fergus 2013) is R(dy), whatever went forward; guided
    (Springenberg et al. 2014) is R of the gradient, so both gates at once.
    """

    rectifies = True

    def backward_deconv(self, dy: Array) -> Any:
        """Rectify the signal itself."""
        return relu(dy) if self.rectifies else self.backward(dy)

    def backward_guided(self, dy: Array) -> Any:
        """Rectify the gradient."""
        diffs = self.backward(dy)
        if not self.rectifies:
            return diffs
        return (relu(diffs[0]), *diffs[1:]) if isinstance(diffs, tuple) else relu(diffs)


def as_tuple(result: Any) -> tuple[Any, ...]:
    """What a layer returns: a tuple where it is a single top or diff, too."""
    return result if isinstance(result, tuple) else (result,)
