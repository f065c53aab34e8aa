"""Which blobs of a network stand for its resolutions."""

from collections.abc import Callable

import pytest

import oneiro
from oneiro import Net
from oneiro.stage import content_blobs, style_blobs
from oracle.small import trunk


def test_layers_that_a_network_lacks_are_named(caplog: pytest.LogCaptureFixture) -> None:
    vgg = oneiro.load("vgg16_conv4_2")
    assert style_blobs(vgg) == ["conv1_1", "conv2_1", "conv3_1", "conv4_1"]
    assert caplog.messages == ["vgg16_conv4_2 has no relu5_1: left out"]
    assert content_blobs(vgg) == ["conv4_2"]


def test_layers_of_any_network_are_the_first_of_each_resolution(net_of: Callable[..., Net]) -> None:
    squeezenet = oneiro.load("squeezenet1.1")
    joins = ["fire2/concat", "fire4/concat", "fire6/concat"]
    assert style_blobs(squeezenet) == ["conv1", *joins]
    assert content_blobs(squeezenet) == ["fire5/concat"]
    nobody = net_of(trunk(named=False))
    assert style_blobs(nobody) == ["blob11", "blob21", "blob31"]
    assert content_blobs(nobody) == ["blob32"]
