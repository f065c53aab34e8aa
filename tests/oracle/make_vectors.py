"""Write tests/oracle/vectors: what torch float64 says, for machines without torch.

`python tests/oracle/make_vectors.py`, with onnx, torch and scipy installed, from anywhere.
"""

import sys
from pathlib import Path

import numpy as np
import onnx

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from oracle import notebook, small, walker  # noqa: E402

VECTORS = TESTS / "oracle" / "vectors"
SQUEEZENET = TESTS.parent / "models" / "squeezenet1.1.onnx"
RULES = ("gradient", "guided", "deconv")


def tiny(name: str) -> dict[str, np.ndarray]:
    """The picture, the blob at `end`, and the three gradients of 1/2 ||end||^2, in full."""
    build, end = small.MODELS[name]
    model, x = build(), small.picture(name)
    vectors = {rule: walker.gradient(model, x, end, rule=rule) for rule in RULES}
    return {"picture": x, "end": walker.run(model, {"data": x}, end)[end].numpy(), **vectors}


def squeezenet() -> dict[str, np.ndarray]:
    """The picture as int16 values of the input, and 600 entries and the norm of each gradient."""
    model, end = onnx.load(SQUEEZENET), "fire7/concat"
    random = np.random.RandomState(0)
    mean = np.reshape([104, 117, 123], (3, 1, 1))
    picture = (random.randint(0, 256, (1, 3, 61, 67)) - mean).astype(np.int16)
    index = np.sort(random.permutation(picture.size)[:600])
    x = picture.astype(np.float32)
    data = walker.run(model, {"data": x}, end)[end].numpy()
    vectors = {"picture": picture, "index": index.astype(np.int32), "end_norm": norm(data)}
    for rule in RULES:
        diff = walker.gradient(model, x, end, rule=rule)
        vectors[rule] = diff.flat[index]
        vectors[f"{rule}_norm"] = norm(diff)
    return vectors


def dream() -> dict[str, np.ndarray]:
    """A picture, and what the small model `branches` dreams in each octave of `notebook.STORED`."""
    random = np.random.RandomState(0)
    img = random.randint(0, 256, (31, 37, 3)).astype(np.uint8)
    model = small.branches()

    def gradient(x: np.ndarray, end: str) -> np.ndarray:
        return walker.gradient(model, x, end)

    pictures = notebook.octaves(img, gradient, "end", **notebook.STORED)
    return {"img": img, **{f"octave{i}": picture for i, picture in enumerate(pictures)}}


def norm(array: np.ndarray) -> np.ndarray:
    return np.linalg.norm(array.ravel())


def main() -> None:
    VECTORS.mkdir(exist_ok=True)
    vectors = {name: tiny(name) for name in small.MODELS}
    vectors["squeezenet1.1"] = squeezenet()
    vectors["dream"] = dream()
    for name, arrays in vectors.items():
        np.savez_compressed(VECTORS / f"{name}.npz", **arrays)
        print(f"{name}: {(VECTORS / f'{name}.npz').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
