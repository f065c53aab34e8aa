"""What was measured is on the page, and so is what could not be measured."""

import copy
from typing import Any

from page import page


def table(**seconds: float) -> dict[str, Any]:
    """Rivals with these medians, half as long at best and twice as long at worst."""
    named = {name.replace("_", " "): s for name, s in seconds.items()}
    return {
        "seconds": {name: [s / 2, s, 2 * s] for name, s in named.items()},
        "ratios": {
            name: [s / named["oneiro"]] * 3 for name, s in named.items() if name != "oneiro"
        },
        "errors": {name: {"distance": 1e-6, "cosine": 0.99999} for name in named},
        "failures": {"torch graph": "RuntimeError: no memory"},
    }


ROW = {
    "network": "googlenet",
    "title": "GoogLeNet",
    "size": 224,
    "precision": "tf32",
    "blobs": {"oneiro": 2e-4, "torch": 3e-4},
    "gradient": table(oneiro=0.001, torch_eager=0.005, torch_eager_nhwc=0.004),
    "step": table(oneiro=0.002, torch_eager=0.006),
    "forward": table(oneiro=0.0005),
    "loop": 0.0025,
    "replays": True,
    "launches": {"oneiro": 40, "torch": 253},
    "memory": {"oneiro": 3 << 20, "torch": None},
    "slowest": [
        {"call": "conv + 1 steps", "of": "w1", "makes": "1x64x9x8", "seconds": 5e-6, "share": 0.4}
    ],
}
RESULTS: dict[str, Any] = {
    "machine": {"title": "NVIDIA Something", "python": "3.12.3"},
    "networks": {"googlenet 224 tf32": ROW},
    "compiled": {},
}


def test_a_row_is_beside_the_best_of_pytorch() -> None:
    text = page(RESULTS)
    assert text.startswith("# oneiro on NVIDIA Something\n\npython 3.12.3.")
    (times,) = [line for line in text.splitlines() if "4.000 (" in line]
    assert times.split("|")[1:5] == ["GoogLeNet", "224", "tf32", "1.000 (0.500..2.000)"]
    assert "**4.00** times as long (4.00..4.00), eager nhwc" in times
    (step,) = [line for line in text.splitlines() if "**3.00** times as long" in line]
    assert step.endswith("|2.500|")
    (right,) = [line for line in text.splitlines() if "2.0e-04" in line]
    assert right.split("|")[4:-1] == [
        *("2.0e-04", "3.0e-04", "0.999990", "0.999990", "equal", "40", "253", "3", ""),
        *("0.500 (0.250..1.000)", ""),
    ]
    assert "5.0 µs, 40%: conv + 1 steps w1 to 1x64x9x8" in text
    assert "* googlenet 224 tf32: gradient by torch graph: RuntimeError: no memory" in text


def test_torch_compile_counts_as_pytorch() -> None:
    results = copy.deepcopy(RESULTS)
    beside = table(oneiro=0.001) | {"ratios": {"torch.compile max-autotune": [2.0, 2.5, 3.0]}}
    beside["seconds"]["torch.compile max-autotune"] = [0.002, 0.0025, 0.003]
    row = {"gradient": beside, "mode": "max-autotune", "reasons": ["it had to be tried twice"]}
    results["compiled"]["googlenet 224 tf32"] = row
    text = page(results)
    (times,) = [line for line in text.splitlines() if "2.500 (2.000..3.000)" in line]
    assert "**2.50** times as long (2.00..3.00), .compile max-autotune|max-autotune|" not in times
    assert "**2.50** times as long (2.00..3.00), torch.compile max-autotune" in times
    assert "* googlenet 224 tf32: it had to be tried twice" in text


def test_what_is_missing_is_said() -> None:
    results = copy.deepcopy(RESULTS)
    row = results["networks"]["googlenet 224 tf32"]
    for key in ("step", "loop", "slowest", "memory", "replays"):
        del row[key]
    row["failures"] = {"slowest": "RuntimeError: capture failed"}
    lost = {"network": "vgg19", "title": "VGG-19", "size": 2048, "precision": "exact"}
    results["networks"]["vgg19 2048 exact"] = lost | {"reason": "no time left"}
    results["networks"]["vgg19 224 exact"] = lost | {
        "reason": "wrong",
        "blobs": {"oneiro": 1.0, "torch": 1e-6},
    }
    text = page(results)
    assert "* googlenet 224 tf32: slowest: RuntimeError: capture failed" in text
    assert "* vgg19 2048 exact: no time left" in text
    assert "|VGG-19|2048|exact|1.0e+00|1.0e-06|" in text
    assert "## What there is no number of" not in page({**RESULTS, "networks": {}})


def test_tests_tools_and_kernels_have_their_parts() -> None:
    counts = {"tests": 12, "failures": 1, "errors": 1, "skipped": 3, "commit": "abc"}
    results = RESULTS | {
        "parity": {**counts, "failed": {"kernels.test_cuda.test_twin[conv]": "4 is not 5"}},
        "sanitizer": {"tools": {"memcheck": "ERROR SUMMARY: 0 errors"}},
        "kernels": {"tables": {"vgg19 224 half": "conv 12 us"}},
    }
    text = page(results)
    assert "At abc, 7 tests passed, 2 failed, 3 skipped." in text
    assert "* `kernels.test_cuda.test_twin[conv]`: 4 is not 5" in text
    assert "* memcheck: ERROR SUMMARY: 0 errors" in text
    assert "## Kernels of vgg19 224 half\n\n```\nconv 12 us\n```" in text
    absent = {"parity": {"reason": "no pytest"}, "sanitizer": {"reason": "no tool"}}
    text = page(RESULTS | absent)
    assert "Not known: no pytest" in text
    assert "* not run: no tool" in text
