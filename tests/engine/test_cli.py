"""The command as it is typed: files in, files out, and one line where something is wrong."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from PIL import Image

import oneiro
from oneiro import Picture

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ("--size", "48", "--iter-n", "1", "--octave-n", "1")  # a tenth of a second
END = "fire3/concat"


Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def photo(small_photo: Path) -> Path:
    """A small photo.png in the current folder, which is empty but for it."""
    return small_photo


def refused(result: Any, *words: str) -> None:
    """One line on stderr that holds the words, and exit 1."""
    assert result.code == 1, result.err
    assert result.err.startswith("oneiro: ")
    assert result.err.count("\n") == 1, result.err
    for word in words:
        assert word in result.err


def size_of(path: str | Path) -> tuple[int, int]:
    with Image.open(path) as image:
        image.load()
        return image.size


def model(path: str, channels: int = 3) -> Path:
    """A network that nobody knows: a convolution and a rectifier."""
    filters = np.random.default_rng(0).normal(size=(7, channels, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["data", "w"], ["pre"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["pre"], ["end"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, channels, None, None])],
        [helper.make_empty_tensor_value_info("end")],
        [numpy_helper.from_array(filters, "w")],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    Path(path).write_bytes(made.SerializeToString())
    return Path(path)


# A dream.


def test_a_dream_is_a_picture_of_the_photo_s_size(typed: Command) -> None:
    result = typed("dream", "photo.png", "dream.png", "--iter-n", 1, "--octave-n", 2)
    assert result.code == 0
    assert result.out == ""
    assert "octave 1/2" in result.err
    assert "octave 2/2 of 60x41 px" in result.err
    assert result.err.endswith("wrote dream.png\n")
    assert size_of("dream.png") == (60, 41)
    assert np.abs(oneiro.load_image("dream.png") - oneiro.load_image("photo.png")).max() > 2


@pytest.mark.parametrize("command", ["dream", "invert"])
def test_a_photo_is_not_drawn_over(typed: Command, photo: Path, command: str) -> None:
    before = photo.read_bytes()
    code, _, err = typed(command, "photo.png", photo)
    assert code == 2
    assert f"{photo} is the photo itself: give what is drawn another name" in " ".join(err.split())
    assert photo.read_bytes() == before


def test_the_photo_is_shrunk_to_size_but_never_grown(typed: Command) -> None:
    typed("dream", "photo.png", "small.png", *SMALL)
    assert size_of("small.png") == (48, 33)
    typed("dream", "photo.png", "same.png", *SMALL, "--size", 1000)
    assert size_of("same.png") == (60, 41)


def test_without_a_name_nothing_is_overwritten(typed: Command) -> None:
    names = []
    for _ in range(3):
        names.append(re.findall(r"wrote (.*)\n", typed("dream", "photo.png", *SMALL).err)[0])
    assert names == ["photo-dream.png", "photo-dream-2.png", "photo-dream-3.png"]
    assert all(size_of(name) == (48, 33) for name in names)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff", ".bmp", ".gif", ".npy"])
def test_every_format(typed: Command, suffix: str) -> None:
    result = typed("dream", "photo.png", f"dream{suffix}", *SMALL)
    assert result.code == 0
    assert oneiro.load_image(f"dream{suffix}").shape == (33, 48, 3)
    assert oneiro.load_recipe(f"dream{suffix}")["method"] == "deepdream"


def test_options_reach_the_dream(typed: Command) -> None:
    options = {
        "iter_n": 2, "octave_n": 2, "octave_scale": 1.7, "step_size": 3.5, "jitter": 4,
        "norm": "l2", "smooth": 0.5, "seed": 9,
    }  # fmt: skip
    given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    given = [text.replace("_", "-") if text.startswith("--") else text for text in given]
    ends = ["--end", "fire3/concat=2", "--end", "fire4/concat:5=0.5"]
    assert typed("dream", "photo.png", "out.png", "--no-clip", *given, *ends).code == 0
    parameters = oneiro.load_recipe("out.png")["parameters"]
    assert {name: parameters[name] for name in options} == options
    assert parameters["end"] == ends[1::2]
    assert parameters["clip"] is False
    net = oneiro.load("squeezenet1.1")
    dream = oneiro.deepdream(
        net, oneiro.load_image("photo.png"), end=ends[1::2], clip=False, **options
    )
    np.testing.assert_array_equal(oneiro.load_image("out.png"), np.rint(dream))


def test_a_guide(typed: Command) -> None:
    dahlia = EXAMPLES / "flower_dahlia.jpg"
    plain = ("dream", "photo.png", "plain.png", *SMALL, "--end", END)
    assert typed(*plain).code == 0
    assert typed("dream", "photo.png", "led.png", *plain[3:], "--guide", dahlia).code == 0
    assert Path("plain.png").read_bytes() != Path("led.png").read_bytes()
    assert set(oneiro.load_recipe("led.png")["pictures"]) == {"photo", "guide"}


def test_transparency_is_put_back(typed: Command) -> None:
    veil = np.random.default_rng(0).integers(0, 256, (41, 60), np.uint8)
    oneiro.save_image("veiled.png", Picture(oneiro.load_image("photo.png"), alpha=veil))
    typed("dream", "veiled.png", "out.png", "--iter-n", 1, "--octave-n", 1)
    np.testing.assert_array_equal(oneiro.load_image("out.png").alpha, veil)


def test_a_line_is_a_line_however_long_the_path(typed: Command) -> None:
    folder = Path("a-folder-with-a-very-long-name" * 4)
    folder.mkdir()
    result = typed("dream", "photo.png", folder / "dream.png", *SMALL)
    assert f"wrote {folder / 'dream.png'}\n" in result.err


def test_warnings_are_lines_too(photo: Path) -> None:
    with Image.open(photo) as first:
        first.save("moving.gif", save_all=True, append_images=[first.rotate(90)])
    result = subprocess.run(
        [sys.executable, "-m", "oneiro", "dream", "moving.gif", "out.png", *SMALL],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "moving.gif: holds several pictures" in result.stderr
    assert ".py" not in result.stderr
    assert "Warning" not in result.stderr


# Movies and sheets.


def test_frames_in_a_folder(typed: Command) -> None:
    result = typed("dream", "photo.png", "movie", *SMALL, "--frames", 3)
    assert result.code == 0
    assert sorted(os.listdir("movie")) == [f"frame_{k:04d}.png" for k in range(3)]
    frames = [Path("movie", name).read_bytes() for name in sorted(os.listdir("movie"))]
    assert len(set(frames)) == 3
    assert size_of("movie/frame_0002.png") == (48, 33)


@pytest.mark.parametrize("out", [("movie.gif",), ()])
def test_frames_as_a_gif(typed: Command, out: tuple[str, ...]) -> None:
    assert typed("dream", "photo.png", *out, *SMALL, "--frames", 3, "--fps", 10).code == 0
    with Image.open(out[0] if out else "photo-dream.gif") as movie:
        assert (movie.format, movie.n_frames, movie.size) == ("GIF", 3, (48, 33))
        assert movie.info["duration"] == 100


@pytest.mark.parametrize("out", [("sheet.png",), ()])
def test_a_sheet(typed: Command, out: tuple[str, ...]) -> None:
    result = typed("dream", "photo.png", *out, *SMALL, "--sheet")
    assert result.code == 0
    assert "fire2/concat" in result.err
    width, height = size_of(out[0] if out else "photo-sheet.png")
    assert width * height > 8 * 48 * 33


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--sheet --frames 2", "--sheet"),
        ("--sheet --end fire3/concat", "end"),
        ("--frames 0", "frames"),
        ("--frames -2", "frames"),
        ("--frames 2 --fps 0", "fps"),
        ("--frames 2 --zoom-scale 1", "zoom"),
        ("--size 0", "size"),
        ("--size -5", "size"),
        ("--iter-n -1", "iter"),
        ("--octave-n 0", "octave"),
        ("--octave-scale nan", "octave"),
        ("--step-size inf", "step"),
        ("--jitter -1", "jitter"),
        ("--smooth nan", "smooth"),
        ("--seed -1", "seed"),
        ("--norm max", "max"),
        ("--mean 1,2", "mean"),
        ("--mean red", "red"),
        ("--scale 0", "scale"),
        ("--order CMYK", "CMYK"),
    ],
)
def test_options_that_make_no_sense(typed: Command, options: str, word: str) -> None:
    out = "movie.gif" if options.startswith("--frames") else "out.png"
    result = typed("dream", "photo.png", out, *SMALL, *options.split())
    assert result.code in (1, 2)
    assert word in result.err.splitlines()[-1]
    assert not Path(out).exists()


# What is wrong is said in one line, before any dreaming.


def test_an_unknown_end_names_what_is_near(typed: Command) -> None:
    result = typed("dream", "photo.png", "out.png", "--end", "fire7/concatt")
    refused(result, "'fire7/concatt'", "fire7/concat")


@pytest.mark.parametrize("end", ["fire7/concat:384", "fire7/concat:1,99,0"])
def test_a_place_outside_an_end_names_it(typed: Command, end: str) -> None:
    result = typed("dream", "photo.png", "out.png", *SMALL, "--end", end)
    refused(result, "fire7/concat", "384")


@pytest.mark.parametrize(
    ("photo_", "said"),
    [
        ("missing.png", "no such file"),
        ("notes.txt", "is no PNG"),
        ("text.png", "is no PNG"),
        ("empty.jpg", "empty"),
        ("half.png", "damaged"),
        (".", "folder"),
    ],
)
@pytest.mark.parametrize("role", ["photo", "guide"])
def test_what_is_no_photo(typed: Command, photo: Path, photo_: str, said: str, role: str) -> None:
    for name in ("notes.txt", "text.png"):
        Path(name).write_text("not a picture\n")
    Path("empty.jpg").touch()
    Path("half.png").write_bytes(photo.read_bytes()[:2000])
    roles = (photo_, "out.png") if role == "photo" else (photo, "out.png", "--guide", photo_)
    refused(typed("dream", *roles), photo_, said)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("out.xyz", ".xyz"),
        ("out", "extension"),
        ("absent/out.png", "absent"),
        (".", "folder"),
    ],
)
def test_where_nothing_can_be_written(typed: Command, out: str, said: str) -> None:
    refused(typed("dream", "photo.png", out), said)


def test_an_unwritable_folder_is_said_before_any_dreaming(typed: Command) -> None:
    folder = Path("closed")
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # root may write everywhere, but not here
        folder = Path("/proc")
    if not folder.is_dir():
        pytest.skip("no folder is closed to this user")
    refused(typed("dream", "photo.png", folder / "out.png", *SMALL), str(folder))


def test_a_file_that_is_no_model(typed: Command) -> None:
    refused(typed("dream", "photo.png", "out.png", "--model", "photo.png"), "photo.png", "ONNX")
    refused(typed("dream", "photo.png", "out.png", "--model", "absent.onnx"), "absent.onnx")
    refused(typed("dream", "photo.png", "out.png", "--model", "goglenet"), "googlenet")


def test_a_folder_called_like_a_network_is_in_nobody_s_way(typed: Command) -> None:
    Path("squeezenet1.1").mkdir()
    assert typed("dream", "photo.png", "out.png", *SMALL).code == 0


# Networks that are not known.


def test_unknown_preprocessing_is_asked_for(typed: Command) -> None:
    result = typed("dream", "photo.png", "out.png", "--model", model("own.onnx"))
    refused(result, "own.onnx", "--preprocess", "--mean", "--scale", "--order")
    assert "`oneiro inspect own.onnx --photo photo.png`" in result.err


def test_an_unknown_network_dreams_once_it_is_told(typed: Command) -> None:
    way = ("--mean", "104,117,123", "--scale", "0.5", "--order", "BGR")
    result = typed("dream", "photo.png", "out.png", "-m", model("own.onnx"), *way, *SMALL)
    assert result.code == 0
    recipe = oneiro.load_recipe("out.png")
    assert recipe["parameters"]["end"] == ["end"]
    assert all(word in json.dumps(recipe) for word in ("104", "0.5", "BGR"))


def test_what_an_unknown_network_climbs_is_printed() -> None:
    command = [sys.executable, "-m", "oneiro", "dream", "photo.png", "out.png", *SMALL]
    own = [*command, "-m", model("own.onnx"), "--mean", "120"]
    result = subprocess.run(own, capture_output=True, text=True, check=True)
    assert re.search(r"climb\w* end\b", result.stderr)


@pytest.mark.parametrize(("channels", "order"), [(1, "GRAY"), (4, "RGB")])
def test_networks_of_one_and_four_channels(typed: Command, channels: int, order: str) -> None:
    own = ("-m", model("own.onnx", channels), "--mean", "120", "--order", order)
    assert typed("dream", "photo.png", "out.png", *own, *SMALL).code == 0
    assert np.asarray(Image.open("out.png")).reshape(33, 48, -1).shape[2] == channels


def test_five_channels_go_from_array_to_array(typed: Command) -> None:
    np.save("five.npy", np.random.default_rng(0).uniform(0, 255, (33, 48, 5)))
    own = ("-m", model("own.onnx", 5), "--mean", "120", "--order", "ANY")
    assert typed("dream", "five.npy", "out.npy", *own, *SMALL).code == 0
    assert np.load("out.npy").shape == (33, 48, 5)
    result = typed("dream", "five.npy", "out.png", *own, *SMALL)
    refused(result, "5 channels", ".npy")
    assert "octave" not in result.err


# Recipes.


def test_a_recipe_is_printed_as_json(typed: Command) -> None:
    typed("dream", "photo.png", "dream.png", *SMALL, "--seed", 7)
    result = typed("recipe", "dream.png")
    assert result.code == 0
    assert json.loads(result.out) == oneiro.load_recipe("dream.png")
    assert json.loads(result.out)["parameters"]["seed"] == 7


@pytest.mark.parametrize("out", ["again.png", "again.jpg"])
def test_a_recipe_gives_the_same_bytes(typed: Command, out: str) -> None:
    first = f"dream{Path(out).suffix}"
    ends = ("--end", "fire3/concat=0.3", "--end", "fire4/concat:2")
    typed("dream", "photo.png", first, *SMALL, *ends, "--no-clip", "--seed", 7)
    result = typed("dream", "--recipe", first, "photo.png", out)
    assert result.code == 0
    assert "made" not in result.err
    assert Path(out).read_bytes() == Path(first).read_bytes()


def test_a_recipe_with_a_guide_asks_for_the_guide(typed: Command) -> None:
    guide = ("--guide", EXAMPLES / "flower_dahlia.jpg")
    typed("dream", "photo.png", "dream.png", *SMALL, *guide)
    result = typed("dream", "--recipe", "dream.png", "photo.png", "without.png")
    assert "--guide" in result.err
    result = typed("dream", "--recipe", "dream.png", "photo.png", "again.png", *guide)
    assert "guide" not in result.err
    assert Path("again.png").read_bytes() == Path("dream.png").read_bytes()


def test_a_recipe_of_a_network_of_ones_own_needs_but_its_file(typed: Command) -> None:
    own = ("--model", model("own.onnx"), "--mean", "104,117,123", "--order", "BGR")
    typed("dream", "photo.png", "dream.png", *SMALL, *own)
    result = typed("dream", "--recipe", "dream.png", "photo.png", "again.png", *own[:2])
    assert result.code == 0, result.err
    assert Path("again.png").read_bytes() == Path("dream.png").read_bytes()


def test_a_recipe_of_a_network_of_ones_own_asks_for_its_file(typed: Command) -> None:
    typed("dream", "photo.png", "dream.png", *SMALL, "-m", model("own.onnx"), "--mean", "120")
    refused(typed("dream", "--recipe", "dream.png", "photo.png", "x.png"), "own", "--model")


def test_a_recipe_on_another_photo_says_what_differs(typed: Command) -> None:
    typed("dream", "photo.png", "dream.png", *SMALL)
    coffee = EXAMPLES / "coffee.png"
    result = typed("dream", "--recipe", "dream.png", coffee, "other.png")
    assert result.code == 0
    (line,) = [line for line in result.err.splitlines() if "made" in line]
    assert "photo" in line
    for name in ("dream.png", "other.png"):
        assert oneiro.load_recipe(name)["pictures"]["photo"][:8] in line


def test_a_recipe_with_an_objective_of_python_says_so(typed: Command, photo: Path) -> None:
    def cubes(data: Any) -> tuple[Any, Any]:
        return (data * data * data).sum() / 3, data * data

    net, img = oneiro.load("squeezenet1.1"), oneiro.load_image(photo)
    dream = oneiro.deepdream(net, img, end=END, objective=cubes, iter_n=1, octave_n=1)
    oneiro.save_image("dream.png", dream)
    assert "cubes" in typed("dream", "--recipe", "dream.png", photo, "again.png").err


def test_an_option_beside_a_recipe_counts(typed: Command) -> None:
    typed("dream", "photo.png", "dream.png", *SMALL, "--seed", 7)
    other = ("--seed", 8, "--size", 40)
    assert typed("dream", "--recipe", "dream.png", "photo.png", "other.png", *other).code == 0
    assert oneiro.load_recipe("other.png")["parameters"]["seed"] == 8
    assert size_of("other.png") == (40, 27)


@pytest.mark.parametrize(
    "recipe",
    [
        "",
        "[1]",
        '{"method"',
        "{}",
        '{"method": "style"}',
        '{"method": "deepdream", "parameters": []}',
        '{"method": "deepdream", "parameters": {"iter_n": "ten"}}',
        '{"method": "deepdream", "parameters": {"end": 3}}',
        '{"method": "deepdream", "parameters": {"end": ["nowhere"]}}',
        '{"method": "deepdream", "parameters": {"norm": 3}}',
        '{"method": "deepdream", "parameters": {"clip": "perhaps"}}',
        '{"method": "deepdream", "parameters": {"seed": 1.5}}',
        '{"method": "deepdream", "parameters": {"size": "big"}}',
        '{"method": "deepdream", "parameters": {"step_size": null, "size": {}, "jitter": []}}',
        '{"method": "deepdream", "parameters": {}, "model": [1]}',
        '{"method": "deepdream", "parameters": {}, "model": {"name": 7}}',
        '{"method": "deepdream", "parameters": {}, "pictures": [1]}',
        '{"method": "deepdream", "parameters": {}, "surroundings": "here"}',
    ],
)
def test_a_broken_recipe(typed: Command, recipe: str) -> None:
    Path("broken.json").write_text(recipe)
    result = typed("dream", "--recipe", "broken.json", "photo.png", "out.png")
    refused(result)
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("path", "said"),
    [("photo.png", "no recipe"), ("absent.png", "no such file"), (".", "folder")],
)
def test_a_recipe_that_is_not_there(typed: Command, path: str, said: str) -> None:
    refused(typed("recipe", path), path, said)
    refused(typed("dream", "--recipe", path, "photo.png", "out.png"), path, said)


# The command itself.


def test_help_names_the_commands(typed: Command) -> None:
    for words in (("--help",), ("-h",)):
        result = typed(*words)
        assert result.code == 0
        assert re.search(r"^  dream ", result.out, re.M)
        assert re.search(r"^  recipe ", result.out, re.M)


def test_help_of_dream_names_every_default(typed: Command) -> None:
    text = " ".join(typed("dream", "--help").out.split())
    for option in ("--seed", "--jitter", "--zoom-scale", "--fps", "--model", "--norm"):
        entry = text.split(f"{option} ")[1].split(" --")[0]
        assert re.search(r"\[.*\]", entry), f"{option} has no default"


@pytest.mark.parametrize("wrong", [(), ("dream",), ("drem",), ("dream", "photo.png", "--sized")])
def test_a_wrong_call_exits_2(typed: Command, wrong: tuple[str, ...]) -> None:
    result = typed(*wrong)
    assert result.code == 2
    assert "oneiro" in result.err


def test_python_m_oneiro() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "oneiro", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip().endswith(oneiro.__version__)
    assert result.stderr == ""


# Ctrl-C.


class Running:
    """The command in a process of its own, its stderr read line by line, ended with the block."""

    def __init__(self, *arguments: str) -> None:
        # SIGINT as a terminal leaves it: a shell's background jobs would inherit it ignored
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oneiro", *arguments], stderr=subprocess.PIPE, text=True
        )
        signal.signal(signal.SIGINT, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def wait_for(self, word: str) -> None:
        assert self.process.stderr
        line = next((line for line in self.process.stderr if word in line), None)
        assert line, f"the command ended without a line of {word!r}"

    def interrupt(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, rest


needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups")
ENDLESS = ("--iter-n", "1000000")


@needs_signals
def test_ctrl_c_keeps_the_last_finished_octave() -> None:
    options = ("--octave-n", "2", "--octave-scale", "30", "--iter-n", "40")
    photo = str(EXAMPLES / "mountains.jpg")
    with Running("dream", photo, "dream.png", *options, "--end", "fire2/concat") as running:
        running.wait_for("octave 1/2")
        code, rest = running.interrupt()
    assert code == 130
    assert "dream.png" in rest
    assert "Traceback" not in rest
    assert size_of("dream.png") == (1024, 768)
    assert np.abs(oneiro.load_image("dream.png") - oneiro.load_image(photo)).max() > 2
    assert sorted(os.listdir()) == ["dream.png", "photo.png"]


@needs_signals
def test_ctrl_c_before_the_first_octave_saves_nothing() -> None:
    own = ("--model", str(model("own.onnx")), "--mean", "120", "--octave-n", "1")
    with Running("dream", "photo.png", "dream.png", *own, *ENDLESS) as running:
        running.wait_for("climbing")
        code, rest = running.interrupt()
    assert code == 130
    assert "nothing" in rest
    assert "Traceback" not in rest
    assert not Path("dream.png").exists()


@needs_signals
def test_ctrl_c_keeps_the_frames_that_are_done() -> None:
    with Running("dream", "photo.png", "movie", *SMALL, "--frames", "100000") as running:
        running.wait_for("frame 3")
        code, rest = running.interrupt()
    assert code == 130
    assert "Traceback" not in rest
    frames = sorted(os.listdir("movie"))
    assert frames[:2] == ["frame_0000.png", "frame_0001.png"]
    assert all(size_of(Path("movie", frame)) == (48, 33) for frame in frames)


# What a network is, and whether it is right.


def stranger(path: str = "own.onnx") -> Path:
    """The embedded network as a file that nobody knows."""
    content = oneiro.locate("squeezenet1.1").read_bytes()
    proto = ModelProto.FromString(content)
    proto.doc_string = "mine"
    Path(path).write_bytes(proto.SerializeToString())
    return Path(path)


def test_inspect_shows_layers_and_the_whole(typed: Command) -> None:
    result = typed("inspect", "squeezenet1.1")
    assert result.code == 0
    assert result.err == ""
    assert re.search(r"^layer +kind +makes +params +FLOPs +field +stride +offset", result.out)
    line = r"^fire9/concat +Concat +512x14x14 +100k +207 +16 +-88 *$"
    assert re.search(line, result.out, re.M)
    for words in ("1,235,496", "780M for 1x3x227x227", "registry (squeezenet1.1)", "Tinca tinca"):
        assert words in result.out
    assert "conv1 " in result.out
    assert "\x1b" not in result.out


def test_inspect_of_another_size(typed: Command) -> None:
    result = typed("inspect", model("own.onnx"), "--size", "33,44", "--mean", "120")
    assert re.search(r"^pre +Conv 7x33x44 +189 +549k +3 +1 +-1 *$", result.out, re.M)
    assert re.search(r"^end +Relu 7x33x44 +10.2k +3 +1 +-1 *$", result.out, re.M)
    assert "(value - 120) * 1, RGB; from given" in result.out


def test_words_of_a_file_are_words(typed: Command) -> None:
    proto = ModelProto.FromString(model("own.onnx").read_bytes())
    top = "[bold]\x1b]2;:cat:\x07"
    proto.graph.node[1].output[0] = proto.graph.output[0].name = top
    Path("own.onnx").write_bytes(proto.SerializeToString())
    sheet = ("dream", "photo.png", "out.png", "--sheet", "--preprocess", "unit", *SMALL, "-m")
    for words in (("inspect",), ("check", "--end", top, "--size", "9"), sheet):
        result = typed(*words, "own.onnx")
        assert result.code == 0, result.err
        shown = result.out + result.err
        assert r"[bold]\x1b]2;:cat:\x07" in shown
        assert not {"\x1b", "\x07"} & {*shown}


def test_inspect_as_json(typed: Command) -> None:
    labels = Path("labels.txt")
    labels.write_text("".join(f"n{k:08} thing {k}\n" for k in range(1000)))
    told = ("--preprocess", "torch", "--labels", labels)
    result = typed("inspect", stranger(), "--json", "--photo", "photo.png", *told)
    assert result.code == 0
    facts = json.loads(result.out)
    assert facts["input"] == {"data": [1, 3, 224, 224]}
    assert facts["parameters"] == 1_235_496
    assert facts["labels"][:2] == ["thing 0", "thing 1"]
    assert facts["preprocessing"]["source"] == "preset torch (given)"
    (pool,) = (row for row in facts["layers"] if row["name"] == "pool1")
    assert pool["field"] == {"size": [7, 7], "stride": [4, 4], "offset": [0, 0]}
    assert facts["photo"].keys() == {"caffe", "torch", "tf", "unit", "none"}
    assert len(facts["photo"]["caffe"]) == 5


def test_weights_behind_a_link_are_read_where_their_folder_is_named(typed: Command) -> None:
    """As caches of model hubs hold them."""
    onnx.save(
        onnx.load(model("own.onnx")), "linked.onnx",
        save_as_external_data=True, location="w.bin", size_threshold=0,
    )  # fmt: skip
    Path("blobs").mkdir()
    Path("w.bin").rename("blobs/w.bin")
    Path("w.bin").symlink_to("blobs/w.bin")
    refused(typed("inspect", "linked.onnx"), "are a link: give weights_dir")
    assert typed("inspect", "linked.onnx", "--weights-dir", ".").code == 0
    result = typed("check", "linked.onnx", "--end", "end", "--size", "9", "--weights-dir", ".")
    assert "not compared: onnx does not read the file's weights" in result.out
    small = ("--weights-dir", ".", "--max-bytes", "99")
    refused(typed("inspect", "linked.onnx", *small), "more than max_bytes=99")


def test_a_photo_tells_how_a_network_is_fed(typed: Command) -> None:
    result = typed("inspect", stranger(), "--photo", EXAMPLES / "coffee.png")
    assert result.code == 0
    assert re.search(r"^caffe \* +0\.9\d\d 967 espresso *$", result.out, re.M)
    assert re.search(r"^torch +0\.\d\d\d \d+ [A-Z]?[a-z ]+ *$", result.out, re.M)
    guess = result.out.splitlines()[-1]
    assert guess.startswith("caffe is the surest (0.9")
    assert "--preprocess WAY --write-sidecar" in guess


def test_a_photo_does_not_make_a_guess_of_what_is_known(typed: Command) -> None:
    """The embedded network is surer of a wrong class when it is fed in another way."""
    result = typed("inspect", "squeezenet1.1", "--photo", EXAMPLES / "chelsea_cat.png")
    assert result.code == 0
    assert re.search(r"^caffe \*", result.out, re.M)
    last = result.out.splitlines()[-1]
    assert last == "caffe is how the network is fed, from registry (squeezenet1.1)"


def test_labels_of_another_network_are_refused(typed: Command) -> None:
    Path("labels.txt").write_text("tench\n")
    told = ("--preprocess", "caffe", "--labels", "labels.txt", "--photo", "photo.png")
    refused(typed("inspect", stranger(), *told), "1 labels for 1000 classes", "--labels")


def test_a_network_without_classes_is_not_asked_about_a_photo(typed: Command) -> None:
    result = typed("inspect", model("own.onnx"), "--photo", "photo.png")
    refused(result, "own", "does not classify")


def test_a_sidecar_is_written_once_and_read_ever_after(typed: Command) -> None:
    own = model("own.onnx")
    Path("labels.txt").write_text("tench\n")
    told = ("--preprocess", "caffe", "--scale", "0.5", "--size", "33,44", "--labels", "labels.txt")
    result = typed("inspect", own, *told, "--write-sidecar")
    assert result.code == 0
    assert result.err == "wrote own.oneiro.toml\n"
    text = Path("own.oneiro.toml").read_text()
    for line in ("mean = [104.0, 117.0, 123.0]", "scale = 0.5", 'order = "BGR"', "size = [33, 44]"):
        assert f"\n{line}\n" in text
    assert typed("dream", "photo.png", "out.png", "-m", own, *SMALL).code == 0
    fed = oneiro.load_recipe("out.png")["model"]["preprocessing"]
    assert fed == {"mean": [104, 117, 123], "scale": 0.5, "order": "BGR"}
    assert typed("inspect", own, "--order", "RGB", "--write-sidecar").code == 0
    net = oneiro.load(own)
    assert net.preprocessing.order == "RGB"
    assert net.preprocessing.scale == 0.5
    assert (net.size, net.labels) == ((33, 44), ("tench",))


def test_a_sidecar_of_nothing_is_not_written(typed: Command) -> None:
    refused(typed("inspect", model("own.onnx"), "--write-sidecar"), "--preprocess")
    refused(typed("inspect", "squeezenet1.1", "--write-sidecar"), "squeezenet1.1", "path")
    refused(typed("inspect", "own.onnx", "--mean", "1,2", "--write-sidecar"), "2", "3 channels")
    assert sorted(os.listdir()) == ["own.onnx", "photo.png"]


def test_a_broken_sidecar_is_named(typed: Command) -> None:
    own = model("own.onnx")
    Path("own.oneiro.toml").write_text("meen = 3")
    for words in (("inspect", own), ("dream", "photo.png", "out.png", "-m", own)):
        refused(typed(*words), "own.oneiro.toml", "'meen'")


@pytest.mark.parametrize("end", ["fire2/concat", "prob"])
def test_check_passes(typed: Command, end: str) -> None:
    result = typed("check", "squeezenet1.1", "--end", end, "--size", "67,70")
    assert result.code == 0, result.err
    assert result.out.count("PASS") == (2 if importlib.util.find_spec("onnxruntime") else 1)
    assert re.search(r"gradient  relative error \d\.\de-\d\d", result.out)
    assert result.err.count("trial ") == 5


def test_check_without_onnxruntime_says_how_to_get_it(
    typed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = typed("check", model("own.onnx"), "--end", "end", "--size", "13,18")
    assert result.code == 0
    assert "pip install 'oneiro[cpu]'" in result.out


def test_check_fails_and_names_the_layer(typed: Command) -> None:
    """A rounding that lets the gradient through: right to want, and no derivative."""
    nodes = [
        helper.make_node("Sigmoid", ["data"], ["pre"]),
        helper.make_node("QuantizeLinear", ["pre", "step", "zero"], ["steps"], name="rounding"),
        helper.make_node("DequantizeLinear", ["steps", "step", "zero"], ["end"]),
    ]
    graph = helper.make_graph(
        nodes,
        "quantised",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_empty_tensor_value_info("end")],
        [
            numpy_helper.from_array(np.float32(0.1), "step"),
            numpy_helper.from_array(np.uint8(0), "zero"),
        ],
    )
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    Path("own.onnx").write_bytes(made.SerializeToString())
    result = typed("check", "own.onnx", "--end", "end", "--size", "13,18")
    assert result.code == 1
    assert "FAIL" in result.out
    assert "layer rounding alone is off" in result.out
    assert result.err.splitlines()[-1] == "oneiro: own.onnx: the check failed"


@pytest.mark.parametrize(
    "wrong",
    [
        ("inspect",),
        ("inspect", "squeezenet1.1", "--size", "big"),
        ("inspect", "squeezenet1.1", "--size", "1,2,3"),
        ("inspect", "squeezenet1.1", "--size", "0"),
        ("inspect", "squeezenet1.1", "--preprocess", "keras"),
        ("inspect", "squeezenet1.1", "--layout", "CHWN"),
        ("check", "squeezenet1.1"),
    ],
)
def test_wrong_calls_of_inspect_and_check(typed: Command, wrong: tuple[str, ...]) -> None:
    assert typed(*wrong).code == 2


def test_what_inspect_and_check_do_not_find(typed: Command) -> None:
    refused(typed("inspect", "absent.onnx"), "absent.onnx")
    refused(typed("inspect", "photo.png"), "photo.png", "ONNX")
    refused(typed("inspect", stranger(), "--labels", "absent.txt"), "absent.txt")
    refused(typed("inspect", stranger(), "--photo", "absent.png"), "absent.png")
    refused(typed("check", "squeezenet1.1", "--end", "fire2/concatt"), "fire2/concat")


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONEIRO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_networks_are_listed(typed: Command, empty_cache: Path) -> None:
    result = typed("models")
    assert result.code == 0, result.err
    heading, first, *others = result.out.splitlines()
    assert re.match("name +MB +classes +task +where +licence", heading)
    assert re.match(r"squeezenet1\.1 +5\.0 +1000 +classification +embedded +MIT", first)
    assert any(re.match(r"googlenet +28\.0 .* remote +BSD-3-Clause", line) for line in others)
    assert not empty_cache.exists()

    rows = json.loads(typed("models", "--json").out)
    assert [row["name"] for row in rows] == [line.split()[0] for line in (first, *others)]
    (googlenet,) = (row for row in rows if row["name"] == "googlenet")
    assert googlenet["mean"] == [103.939, 116.779, 123.68]
    assert googlenet["verified"]
    assert googlenet["dream"] == {"end": ["inception_4b/output"]}


def test_a_network_tells_what_is_known_of_it(typed: Command, empty_cache: Path) -> None:
    page = typed("models", "info", "googlenet").out
    for word in ("28,021,836", "103.939,116.779,123.68", "BGR", "model README", "https://", "BSD"):
        assert word in page
    assert str(empty_cache / "googlenet-12.onnx") in page
    assert "a guess" not in page
    assert "a guess" in typed("models", "info", "densenet121").out


def test_a_pulled_network_is_where_the_command_says(typed: Command, empty_cache: Path) -> None:
    result = typed("models", "pull", "squeezenet1.1")  # which is here already
    assert Path(result.out.strip()).name == "squeezenet1.1.onnx"
    assert result.err == ""
    refused(typed("models", "pull", "mobilenetv2_dogs"), "published nowhere", "your copy")
    refused(typed("models", "pull", "squeezenet1.1", "goglenet"), "near it: googlenet")
    refused(typed("models", "info", "goglenet"), "near it: googlenet")
    assert typed("models", "pull").code == 2
    assert not empty_cache.exists()


def test_a_recipe_finds_its_network_by_its_bytes(typed: Command, empty_cache: Path) -> None:
    assert typed("dream", "photo.png", "dream.png", *SMALL, "--end", END).code == 0
    recipe = oneiro.load_recipe("dream.png")
    recipe["model"]["name"] = "squeezenet1.1-as-somebody-called-it"
    Path("recipe.json").write_text(json.dumps(recipe))
    result = typed("dream", "--recipe", "recipe.json", "photo.png", "again.png")
    assert result.code == 0, result.err
