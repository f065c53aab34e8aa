"""`oneiro embed` as it is typed."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro import load_codes
from oneiro.cli import embed as command

Command = Callable[..., tuple[int, str]]
SMALL = ("--size", 48)


@pytest.fixture
def embed(told: Command) -> Command:
    """embed("pictures", ...): the exit code, and what stderr says."""
    return functools.partial(told, "embed")


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven pictures in pictures/red and pictures/blue, in the current folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for k in range(7):
        folder = Path("pictures", ["red", "blue"][k % 2])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 120, (40, 50, 3), np.uint8)
        pixels[..., 2 * (k % 2)] += 130
        Image.fromarray(pixels).save(folder / f"{k}.png")


def test_codes_and_every_picture_of_them(embed: Command) -> None:
    drawn = ("--grid", "g.png", "--scatter", "s.png", "--neighbours", "n.png", "-k", 3)
    code, err = embed("pictures", "codes.npz", *drawn, "--method", "pca", *SMALL)
    assert code == 0, err
    assert "picture 7/7" in err
    summary = "7 pictures, 512 numbers each, fire9/concat of squeezenet1.1"
    assert f"wrote codes.npz: {summary}\n" in err
    assert err.endswith("wrote s.png\nwrote g.png\nwrote n.png\n")
    codes = load_codes("codes.npz")
    assert sorted(codes.labels) == ["blue"] * 3 + ["red"] * 4
    numbers = np.array(codes.numbers)
    assert (numbers[codes.neighbours(2).indices] == numbers[:, None]).all()
    for name, kind in (("g.png", "grid"), ("s.png", "scatter"), ("n.png", "neighbours")):
        parameters = oneiro.load_recipe(name)["parameters"]
        assert parameters["picture"] == kind
        assert parameters["blob"] == "fire9/concat"
    with Image.open("g.png") as grid:
        assert grid.size == (3 * 98 + 2, 3 * 98 + 2)


def test_saved_codes_are_drawn_without_the_network(
    embed: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed("pictures", "codes.npz", *SMALL)
    monkeypatch.setattr(command, "load_net", None)
    again = ("codes.npz", "--method", "pca", "--scatter", "s.png")
    assert embed(*again) == (0, "wrote s.png\n")
    drawn = ("--neighbours", "n.png", "-q", "red/0", "-q", "blue/1.png", "-k", 2)
    code, err = embed("codes.npz", *drawn, "--images", "pictures")
    assert (code, err) == (0, "wrote n.png\n")
    pytest.importorskip("pyarrow", reason="Parquet is written by PyArrow")
    code, err = embed("codes.npz", "codes.parquet")
    assert code == 0, err
    np.testing.assert_array_equal(
        load_codes("codes.parquet").vectors, load_codes("codes.npz").vectors
    )


def test_tsne_is_the_usual_way(embed: Command) -> None:
    pytest.importorskip("sklearn", reason="t-SNE is scikit-learn's")
    code, err = embed("pictures", "--scatter", "s.png", *SMALL)
    assert code == 0, err
    assert "wrote pictures-codes.npz" in err
    parameters = oneiro.load_recipe("s.png")["parameters"]
    assert parameters["plane"] == "tsne"
    assert parameters["seed"] == 0


def test_nothing_is_overwritten_unasked(embed: Command) -> None:
    for name in ("pictures-codes.npz", "pictures-codes-2.npz"):
        assert f"wrote {name}: " in embed("pictures", *SMALL)[1]


def test_raw_pixels_are_codes_too(embed: Command) -> None:
    assert embed("pictures", "codes.npz", "--blob", "data", "--flat", "--size", "8,6")[0] == 0
    assert load_codes("codes.npz").vectors.shape == (7, 3 * 8 * 6)


def test_ctrl_c_keeps_the_codes_so_far(embed: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = command.embed

    def stopped(*args: Any, on_step: Any, **more: Any) -> Any:
        def step(moment: Any) -> None:
            on_step(moment)
            if moment.done == 4:
                raise KeyboardInterrupt

        return whole(*args, on_step=step, **more)

    monkeypatch.setattr(command, "embed", stopped)
    code, err = embed("pictures", "codes.npz", *SMALL)
    assert code == 130
    assert err.rstrip().endswith("stopped: codes.npz holds 4 of 7 pictures")
    assert len(load_codes("codes.npz")) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("none",), 1, "none: there is no such folder, zip or tar"),
        (("pictures", "codes.csv"), 1, r"codes.csv: codes are kept in a file of .npz or .parquet"),
        (("pictures", "--grid", "g.txt"), 1, "g.txt: the extension"),
        (("pictures", "--blob", "fire99"), 1, "has no blob or layer 'fire99'"),
        (("pictures", "--images", "pictures"), 2, "--images goes with saved codes"),
        (("none.npz", "c.npz"), 1, "none.npz: there is no such file"),
        (("none.npz", "--grid", "g.png"), 2, "say where they are with --images"),
        (("pictures", "--query", "0"), 2, "--query goes with --neighbours"),
        (("none.npz", "--flat"), 2, "none.npz holds codes already: leave out --flat"),
        (("none.npz", "c.npz", "-b", "conv1", "-m", "x"), 2, "leave out --blob and --model"),
        (
            ("pictures", "--scatter", "pictures/red/0.png"),
            2,
            "pictures/red/0.png is the photo itself",
        ),
        (
            ("pictures", "c.npz", *SMALL, "--neighbours", "n.png", "-q", "dog"),
            1,
            "names no picture",
        ),
    ],
)
def test_what_makes_no_sense(
    embed: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, err = embed(*arguments)
    assert (found, said in err) == (code, True), err
    assert not list(Path().glob("*.png"))


def test_saved_codes_are_not_read_for_nothing(embed: Command) -> None:
    embed("pictures", "codes.npz", *SMALL)
    code, err = embed("codes.npz")
    assert code == 2
    assert "say what to draw" in err


def test_a_broken_labels_json_is_met_before_the_work(embed: Command) -> None:
    Path("pictures", "labels.json").write_text(json.dumps([1]))
    code, err = embed("pictures", *SMALL)
    assert code == 1
    assert "labels.json: must be" in err
    assert "picture 1/7" not in err
