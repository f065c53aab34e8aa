"""Which pixels speak for a class, by onnxruntime, NumPy and Pillow alone.

`oneiro export squeezenet1.1 saliency.onnx --what saliency` writes the file that this runs:
`python examples/saliency.py saliency.onnx PHOTO OUT [--class NUMBER]`.
"""

import argparse

import numpy as np
import onnxruntime
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("photo")
parser.add_argument("out")
parser.add_argument("--class", dest="number", type=int, default=-1, help="default: the top one")
asked = parser.parse_args()

session = onnxruntime.InferenceSession(asked.model, providers=["CPUExecutionProvider"])
photo = Image.open(asked.photo).convert("RGB")
photo.thumbnail((256, 256))
feeds = {"picture": np.asarray(photo, np.float32)[None], "class": np.array(asked.number)}
values, scores, chosen = session.run(["map", "scores", "chosen"], feeds)
Image.fromarray((255 * values[0] / values.max()).astype(np.uint8)).save(asked.out)
print(f"class {chosen[0]}, score {scores[0, chosen[0]]:.2f}")
