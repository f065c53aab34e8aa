"""Attributions: gradients averaged, integrated, or times the picture."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..error import ArgumentError
from ..image import Picture
from ..map import Map
from ..net import Net
from ..probe import OnStep, Probe
from ..seed import seeded
from ..target import Target


def smooth_grad(
    net: Net,
    img: Array,
    target: Target | str | int | None = None,
    *,
    level: float = 0.1,
    samples: int = 20,
    seed: int = 0,
    reduce: str = "max",
    crop: bool = True,
    on_step: OnStep | None = None,
) -> Map | Picture:
    """The mean gradient at copies of the picture with noise: SmoothGrad (Smilkov et al. 2017).

    The noise is normal, of deviation `level` times the picture's own range in the network's units.
    The rest is as for `saliency`. The same seed gives the same map.
    """
    if not 0 <= level < np.inf:
        raise ArgumentError(f"level is {level}: it is a part of the picture's range, 0 or more")
    check_count("samples", samples)
    random = seeded(seed)
    probe = Probe(net, img, target)
    sigma = level * float(probe.x.max() - probe.x.min())
    shape, dtype = probe.x.shape, probe.x.dtype
    noises = (random.standard_normal(shape).astype(dtype) for _ in range(samples))
    points = ((1 / samples, probe.x + dtype.type(sigma) * noise) for noise in noises)
    g = probe.summed(points, samples, on_step)
    parameters = {"level": level, "samples": samples, "sigma": sigma, "seed": seed}
    caption = f"SmoothGrad of {probe.target.title}, {samples} samples, noise of {level:.0%}"
    return probe.finished(
        probe.planes(g), reduce, caption, crop, "smooth_grad", parameters, {"photo": img}
    )


def integrated_gradients(
    net: Net,
    img: Array,
    target: Target | str | int | None = None,
    *,
    steps: int = 50,
    baseline: Array | float | None = None,
    reduce: str = "sum",
    crop: bool = True,
    on_step: OnStep | None = None,
) -> Map | Picture:
    """What each pixel adds on the way from a baseline to the picture (Sundararajan et al. 2017).

    That is (x - x0) times the mean gradient on the straight line from x0 to x, by the rule of
    Gauss and Legendre at `steps` points. The baseline x0 is a picture of the same size, a grey of
    0..255, or None for zero in the network's units: its mean colour if it was trained on centred
    values. All together should be the target's value here less that at the baseline; caption and
    recipe tell by how much of that it is not (`error`). The rest is as for `saliency`.
    """
    check_count("steps", steps)
    probe = Probe(net, img, target)
    start = baseline_of(probe, img, baseline)
    places, weights = np.polynomial.legendre.leggauss(steps)
    way = probe.x - start
    points = (
        (weight / 2, (start + (1 + place) / 2 * way).astype(probe.x.dtype))
        for place, weight in zip(places, weights, strict=True)
    )
    attribution = probe.summed(points, steps, on_step) * way / probe.scale
    low, high = (float(probe.values(x)[0]) for x in (start, probe.x))
    error = abs(attribution.sum() - (high - low)) / max(abs(high - low), 1e-12)
    pictures = {"photo": img}
    told: float | str | None = "picture"
    if isinstance(baseline, np.ndarray):
        pictures["baseline"] = baseline
    else:
        told = baseline
    parameters = {
        "steps": steps, "baseline": told, "value": high, "at_baseline": low, "error": float(error),
    }  # fmt: skip
    caption = (
        f"integrated gradients of {probe.target.title}, from {low:.4g} to {high:.4g} "
        f"in {steps} steps, {error:.2%} missed"
    )
    values = probe.planes(attribution)
    return probe.finished(
        values, reduce, caption, crop, "integrated_gradients", parameters, pictures
    )


def gradient_input(
    net: Net,
    img: Array,
    target: Target | str | int | None = None,
    *,
    reduce: str = "sum",
    crop: bool = True,
) -> Map | Picture:
    """The gradient times the picture, in the network's units (Shrikumar et al. 2016).

    How far the target would fall, were it linear, if a pixel became the network's zero. The rest is
    as for `saliency`.
    """
    probe = Probe(net, img, target)
    value, g = probe.gradient()
    caption = f"gradient times picture, {probe.target.title}, {value:.4g} in {probe.target.blob}"
    values = probe.planes(g * probe.x / probe.scale)
    made = {"value": value}
    return probe.finished(values, reduce, caption, crop, "gradient_input", made, {"photo": img})


def baseline_of(probe: Probe, img: Array, baseline: Array | float | None) -> Array:
    """The baseline in the network's units, of the shape of the probe's x."""
    if baseline is None:
        return np.zeros_like(probe.x)
    if isinstance(baseline, int | float):
        if not 0 <= baseline <= 255:
            raise ArgumentError(f"baseline is {baseline}: a grey lies in 0..255")
        baseline = np.full(img.shape, float(baseline), np.float32)
    if baseline.shape != img.shape:
        raise ArgumentError(f"baseline is {baseline.shape}, but the picture is {img.shape}")
    return Probe(probe.net, baseline, probe.target).x


def check_count(name: str, count: int) -> None:
    """Raise ArgumentError where there would be nothing to average."""
    if count < 1:
        raise ArgumentError(f"{name} is {count}: it starts at 1")
