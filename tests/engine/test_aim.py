"""What a picture is to show: names, weights, sums, and what neurons see."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import oneiro
from oneiro import ArgumentError, Net, aim, image_gradient
from oneiro.aim import Aim, is_middle, seen, smallest_size, unrectified
from oneiro.ascent import objective_value
from oneiro.goal import goal
from oneiro.objective import channel, direction, l2
from oneiro.target import class_target, unit_target
from oracle import small


@pytest.fixture(scope="module")
def squeezenet() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture
def net(net_of: Callable[..., Net]) -> Net:
    return net_of(small.branches(), np.float64)


@pytest.fixture
def x() -> NDArray[Any]:
    return small.picture("branches").astype(np.float64)


def test_classes_by_number_and_name(squeezenet: Net) -> None:
    for which in (99, "99", "goose", "class:goose", "class:99", class_target(squeezenet, 99)):
        found = aim(squeezenet, which)
        assert list(found) == ["logits"]
        assert found.title == "goose (99)"
    assert aim(squeezenet, "goose").text == "class:99"


def test_units_of_blobs(net: Net, x: Any) -> None:
    for text in ("end", "mixed:3", "mixed:3,2,5", "mixed:3=0.5"):
        assert (
            objective_value(net, x, aim(net, text))
            == pytest.approx(objective_value(net, x, goal(net, [text])), rel=1e-9)
            or text == "mixed:3,2,5"
        )
    assert aim(net, "mixed:3").title == aim(net, "mixed:3").text == "mixed:3"
    assert aim(net, unit_target(net, "mixed:3")).text == "mixed:3"


def test_what_is_said_comes_back_from_its_text(net: Net, x: Any) -> None:
    for text in ("mixed:3 + end:1=-0.5", "neuron:mixed:5", "neuron:mixed:5=2.0 + stem:1", "end=3"):
        first = aim(net, text)
        again = aim(net, first.text)
        assert again.text == first.text
        assert again.title == first.title
        assert objective_value(net, x, again) == objective_value(net, x, first)


def test_aims_are_reckoned_with(net: Net, x: Any) -> None:
    a, b, c = (aim(net, text) for text in ("mixed:3", "end:1", "mixed:7"))
    value, g = image_gradient(net, x, a - 0.5 * b + c * 2 + -a)
    parts = [image_gradient(net, x, one) for one in (b, c)]
    assert value == pytest.approx(-0.5 * parts[0][0] + 2 * parts[1][0])
    np.testing.assert_allclose(g, -0.5 * parts[0][1] + 2 * parts[1][1], atol=1e-9)


def test_a_sum_is_the_text_s(net: Net, x: Any) -> None:
    by_text = image_gradient(net, x, aim(net, "mixed:3 + end:1=-0.5"))
    by_hand = image_gradient(net, x, aim(net, "mixed:3") - 0.5 * aim(net, "end:1"))
    assert by_text[0] == by_hand[0]
    np.testing.assert_array_equal(by_text[1], by_hand[1])


def test_goals_of_python(net: Net, x: Any) -> None:
    vector = np.arange(20.0)
    found = aim(net, {"mixed": direction(vector), "end": channel(1)})
    assert isinstance(found, Aim)
    assert not found.text
    expected = (net.forward({"data": x}, end="mixed")["mixed"] * vector.reshape(-1, 1, 1)).sum()
    assert objective_value(net, x, aim(net, {"mixed": direction(vector)})) == pytest.approx(
        expected
    )
    assert not (found + aim(net, "end:1")).text
    assert objective_value(net, x, aim(net, "end:1") + {"end": l2}) == pytest.approx(
        objective_value(net, x, goal(net, ["end:1", "end"]))
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("neuron:mixed", "BLOB:CHANNEL"),
        ("neuron:mixed:1,2,3", "BLOB:CHANNEL"),
        ("neuron:nothing:1", "nothing"),
        ("mixed:x", "channel"),
        ("end=x", "weight"),
    ],
)
def test_what_means_nothing(net: Net, text: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        aim(net, text)


@pytest.mark.parametrize("text", ["gooze", "class:1000", "goose=much"])
def test_classes_that_are_none(squeezenet: Net, text: str) -> None:
    with pytest.raises(ArgumentError):
        aim(squeezenet, text)


# Neurons.


def test_a_neuron_is_climbed_before_its_rectifier(net: Net, x: Any) -> None:
    """mixed is the Concat of two rectified branches, a convolution that is not, and another."""
    net.forward({"data": x}, end="mixed")
    mixed = net.blobs["mixed"].data
    lowest = []
    for k in range(20):
        name, channel_below = unrectified(net, "mixed", k)
        below = net.blobs[name].data[0, channel_below]
        if name == "mixed":
            assert 9 <= k < 17  # of the branch without one
            continue
        np.testing.assert_array_equal(np.maximum(below, 0), mixed[0, k])
        lowest.append(below.min())
    assert min(lowest) < 0
    assert unrectified(net, "end", 2)[0] != "end"


def test_the_smallest_picture_holds_all_that_a_neuron_sees(squeezenet: Net) -> None:
    for blob in ("pool1", "fire3/concat", "fire5/concat"):
        h, w = smallest_size(squeezenet, blob)
        one = aim(squeezenet, f"neuron:{blob}:3")
        assert is_middle(one)
        place = seen(squeezenet, one, h, w)
        assert place is not None
        assert min(place.top, place.left) >= 0
        assert max(place.top + place.height, place.left + place.width) <= h
        assert h < 100
        x = np.random.default_rng(0).normal(size=(1, 3, h, w)).astype(np.float32)
        _, g = image_gradient(squeezenet, 50 * x, one)
        rows, columns = np.nonzero(np.abs(g[0]).max(0))
        assert rows.min() >= place.top
        assert rows.max() < place.top + place.height
        assert columns.min() >= place.left
        assert columns.max() < place.left + place.width


def test_what_sees_everything_has_no_piece(squeezenet: Net) -> None:
    assert seen(squeezenet, aim(squeezenet, "goose"), 227, 227) is None
    assert seen(squeezenet, aim(squeezenet, "fire5/concat:3"), 227, 227) is None
    place = seen(squeezenet, aim(squeezenet, "fire5/concat:3,0,0"), 227, 227)
    assert place is not None
    assert place.top <= 0
