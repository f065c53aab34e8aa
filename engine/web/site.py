"""What the page is made of: its files by name, each made when it is first asked for."""

from __future__ import annotations

import importlib.resources
import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..colour import blue_to_red, dark_to_light
from ..error import ArgumentError, ModelError
from ..export import export, export_program
from ..export.file import Weights
from ..export.writer import stored
from ..goal import parse_spec
from ..image import Picture, encoded
from ..layer import Rectifier
from ..net import Net
from ..setting import SMALLEST, Settings, usual_ends
from ..size import usual_size
from ..target import score_blob
from ..transform import zoomed

PAGE = (
    "index.html", "page.css", "page.js", "source.js", "dream.js", "picture.js", "network.js",
    "worker.js",
)  # fmt: skip
LOOKS = ("activations", "gradient", "guided", "deconv")  # at a layer, for pictures of one size
FOLLOWERS = ("BatchNormalization",)  # layers that, as rectifiers do, only finish a map
CHANNELS = (1, 3)


class Site(Mapping[str, bytes]):
    """The files of a page about a Net: {path: content}.

    `runtime` are the files of onnxruntime-web. The page opens with `photo` if one is given. Models
    hold no weights of their own: those lie once in the file "weights". Threads may share a Site.
    Raises ArgumentError and ModelError, also where a file is asked for.
    """

    def __init__(self, net: Net, runtime: Mapping[str, bytes], photo: Picture | None) -> None:
        if net.channels not in CHANNELS:
            raise ArgumentError(
                f"{net.model.name!r} takes pictures of {net.channels} channels: the page shows "
                "photos, of 1 or 3"
            )
        self.net = net
        self.layers = layers(net)
        self.size = usual_size(net)
        self.classes = class_blob(net)
        self.kept: dict[str, bytes] = {}
        self.lock = threading.Lock()
        file = io.BytesIO()
        self.weights = Weights(file, "weights")
        for array in net.constants.values():
            self.weights.keep(stored(np.asarray(array)).tobytes())
        self.makers: dict[str, Callable[[], bytes]] = {
            **{name: partial(shipped, name) for name in PAGE},
            "theme.css": partial(shipped, "theme.css", "oneiro"),
            **{f"ort/{name}": partial(bytes, content) for name, content in runtime.items()},
            "weights": file.getvalue,
            "net.json": json.dumps(self.facts(photo)).encode,
            "models/zoom.onnx": lambda: self.written(zoom_model(net)),
        }
        if photo is not None:
            self.makers["photo.png"] = lambda: encoded(photo, ".png")
        if self.classes:
            self.makers["models/scores.onnx"] = partial(self.look, "activations", [self.classes])
            self.makers["models/saliency.onnx"] = partial(self.look, "saliency", ())
        if self.favourite:
            self.makers["models/step/favourite.onnx"] = partial(self.step, self.favourite)
        for k, name in enumerate(self.layers):
            for what in LOOKS:
                self.makers[f"models/{what}/{k}.onnx"] = partial(self.look, what, [name])
            self.makers[f"models/step/{k}.onnx"] = partial(self.step, [name])

    def __getitem__(self, path: str) -> bytes:
        with self.lock:
            if path not in self.kept:
                self.kept[path] = self.makers[path]()
            return self.kept[path]

    def __contains__(self, path: object) -> bool:
        return path in self.makers  # Mapping's own would make the file

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)

    @property
    def favourite(self) -> tuple[str, ...]:
        """What the network dreams best, if that is known."""
        return tuple(self.net.favourites.get("end", ()))

    def facts(self, photo: Picture | None) -> dict[str, Any]:
        """What the page must know: see page.js."""
        net = self.net
        shapes = net.shapes({net.input: (1, net.channels, *self.size)}, end=self.layers)
        ends = usual_ends(net)
        usual = parse_spec(net, ends[0]).blob
        octaves = net.favourites.get("octave_n")
        chosen = {**net.favourites, "end": ends, "octave_n": octaves or 1}
        numbers = Settings(**chosen, jitter=32, clip=True, norm="mean_abs", seed=0)
        return {
            "name": net.model.name,
            "size": self.size,
            "channels": net.channels,
            "layers": [{"name": name, "channels": shapes[name][1]} for name in self.layers],
            "classes": [label.split(",")[0].strip() for label in net.labels],
            "classifies": bool(self.classes),
            "pools": [node.tops[0] for node in net.nodes if node.layer.kind == "MaxPool"],
            "photo": "photo.png" if photo is not None else None,
            "dream": {
                "favourite": " + ".join(self.favourite),
                "layer": self.layers.index(usual) if usual in self.layers else 0,
                "octaves": octaves,  # or by the size of the picture
                "steps": numbers.iter_n,
                "scale": numbers.octave_scale,
                "step": numbers.step_size,
                "jitter": numbers.jitter,
                "smallest": SMALLEST,
            },
            "ramps": {
                "sequential": dark_to_light().round().astype(int).tolist(),
                "diverging": blue_to_red().round().astype(int).tolist(),
            },
        }

    def look(self, what: str, ends: Sequence[str]) -> bytes:
        """The model of a question about a picture as the network was trained with."""
        return self.written(export(self.net, what, ends, size=self.size))

    def step(self, ends: Sequence[str]) -> bytes:
        """The model of a step: for pictures of any size, or where the network cannot, of one."""
        smooth = float(self.net.favourites.get("smooth", 0.0))
        try:
            return self.written(export(self.net, "step", ends, smooth=smooth))
        except ModelError:
            return self.written(export(self.net, "step", ends, smooth=smooth, size=self.size))

    def written(self, model: Any) -> bytes:
        """A model, onnx.ModelProto, as a file whose weights lie in the one that all share."""
        return self.weights.parted(model).SerializeToString()


def layers(net: Net) -> list[str]:
    """Blobs of maps, in order; one that a rectifier or a normalisation finishes stands for it."""
    shapes = net.reachable_shapes({net.input: (1, net.channels, *usual_size(net))})
    reached = net.reached((net.input,))
    found = []
    for node in net.nodes:
        for top in node.tops[: node.layer.asked]:
            readers = [reader for reader in net.nodes if top in reader.bottoms]
            finished = len(readers) == 1 and finishes(readers[0].layer)
            shape = shapes.get(top, ())
            if top in reached and len(shape) == 4 and min(shape[2:]) > 1 and not finished:
                found.append(top)
    if not found:
        raise ModelError(f"{net.model.name!r} makes no maps that a page could show")
    return found


def finishes(layer: Any) -> bool:
    return isinstance(layer, Rectifier) or layer.kind in FOLLOWERS


def class_blob(net: Net) -> str | None:
    """The blob of class scores; None where the network does not classify."""
    try:
        return score_blob(net)
    except ModelError:
        return None


def zoom_model(net: Net) -> Any:
    """Pictures (1, h, w, c) at another size, as octaves are."""

    def program(net: Net, picture: Array, size: Array) -> dict[str, Array]:
        x = picture.transpose(0, 3, 1, 2)
        return {"zoomed": zoomed(x, size[:1], size[1:]).transpose(0, 2, 3, 1)}

    picture: Any = (np.float32, (1, "h", "w", net.channels))
    return export_program(net, program, picture=picture, size=(np.int64, (2,)))


def shipped(name: str, package: str = "oneiro.web") -> bytes:
    """A file of the page as it lies in a package."""
    source = "page.html" if name == "index.html" else name
    return importlib.resources.files(package).joinpath(source).read_bytes()
