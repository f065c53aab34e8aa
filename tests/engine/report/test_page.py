"""The page of a report: what it holds, what it may not hold, and how it behaves in a browser."""

import base64
import importlib.util
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import oneiro
from oneiro import ArgumentError, Net, Preprocess, Report, report
from oneiro.report import part
from oneiro.report.subject import evenly
from oracle import browser
from oracle.notation import network

IMG = np.random.RandomState(5).uniform(0, 255, (40, 52, 3)).astype(np.float32)
EVIL = '"><script>document.title = "broken"</script><img src=x onerror=alert(1)>'
SECTIONS = ["network", "activations", "saliency", "occlusion"]
METHODS = {
    "gradient", "guided backprop", "deconvnet", "gradient times picture", "SmoothGrad",
    "integrated gradients", "Grad-CAM", "guided Grad-CAM",
}  # fmt: skip


def classifier(classes: bool = True) -> onnx.ModelProto:
    """Two layers and four classes; one layer and a blob bear names that would be markup."""
    random = np.random.RandomState(3)
    nodes = """
        [conv] pre = Conv <strides = [2, 2]> (x, w)
        [relu] maps = Relu (pre)
        [deeper] more = Conv (maps, v)
        [last] things = Relu (more)
        [pool] pooled = GlobalAveragePool (things)
        [flat] scores = Flatten (pooled)
        [end] y = Softmax <axis = 1> (scores)
    """
    if not classes:
        nodes = nodes[: nodes.index("[pool]")].replace("things", "y")
    w = random.normal(size=(6, 3, 3, 3)).astype(np.float32) / 300
    v = random.normal(size=(4, 6, 3, 3)).astype(np.float32)
    model = network(nodes, w=w, v=v)
    for node in model.graph.node:
        node.name = EVIL if node.name == "deeper" else node.name
        for names in (node.input, node.output):
            names[:] = [f"maps {EVIL}" if name == "maps" else name for name in names]
    return model


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Net:
    return loaded(tmp_path_factory.mktemp("net") / "own.onnx", classifier())


def loaded(path: Path, model: onnx.ModelProto) -> Net:
    onnx.save(model, path)
    found = Net(path)
    found.preprocessing = Preprocess((120.0, 110.0, 100.0), 1.0, "BGR")
    found.labels = ("ash", "birch", f"cedar {EVIL}", "date palm")
    return found


@pytest.fixture(scope="module")
def page(net: Net) -> Report:
    return report(net, IMG, title=f"photo {EVIL}")


class Parsed(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


# What it holds.


def test_every_section_has_its_figures(page: Report) -> None:
    parsed = Parsed(page.html)
    assert [tag["id"] for tag in parsed.all("section")] == [*SECTIONS, "recipe"]
    titles = re.findall(r"<strong>(.*?)</strong>", page.html)
    assert set(titles) >= METHODS
    assert {"first filters", "the probability", "the most probable class"} <= set(titles)
    assert "Not to be had" not in page.html
    assert len([*parsed.all("figure")]) == len([*parsed.all("img")]) - 1  # the enlarged one


def test_pictures_are_inside_and_whole(page: Report) -> None:
    for attributes in Parsed(page.html).all("img"):
        source = attributes.get("src")
        if source is None:
            continue  # the enlarged one
        kind, content = re.fullmatch(r"data:image/(png|jpeg);base64,(.*)", source).groups()  # type: ignore[union-attr]
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True))) as image:
            image.load()
            assert image.format == kind.upper()
            assert (str(image.width), str(image.height)) == (
                attributes["width"], attributes["height"],
            )  # fmt: skip


def test_classes_come_in_their_order(net: Net, page: Report) -> None:
    scores = np.asarray(net.forward({"x": net.preprocess(IMG)})["y"])[0]
    listed = re.findall(r"<li><span>(\w+)", page.html)
    assert listed == [net.labels[k].split()[0] for k in np.argsort(-scores)]
    percents = [float(text) for text in re.findall(r"<em>([\d.]+) %</em>", page.html)]
    assert percents == pytest.approx(sorted(100 * scores, reverse=True), abs=0.05)


def test_the_layers_are_those_of_the_network(net: Net, page: Report) -> None:
    rows = re.findall(r'<tr.*?><td class="name">(.*?)</td><td>(.*?)</td>', page.html)
    assert [kind for _, kind in rows] == [node.layer.kind for node in net.nodes]
    assert rows[0][0] == "conv"


def test_another_class_may_be_asked_about(net: Net) -> None:
    found = report(net, IMG, target="birch")
    assert found.recipe["parameters"]["target"] == "birch (1)"
    assert "Which pixels matter for birch (1)." in found.html


def test_inversions_come_last_and_if_asked_for(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "ITERATIONS", 3)
    found = report(net, IMG, inversions=True)
    assert [tag["id"] for tag in Parsed(found.html).all("section")][-2:] == ["inversions", "recipe"]
    assert found.html.count("Normalised error") == 2


def test_a_network_without_classes_is_asked_about_a_channel(tmp_path: Path) -> None:
    found = report(loaded(tmp_path / "net.onnx", classifier(classes=False)), IMG)
    assert "does not classify: what is asked about is y:" in found.html
    assert set(re.findall(r"<strong>(.*?)</strong>", found.html)) >= METHODS
    assert "an inner map" in found.html
    assert "the probability" not in found.html
    with pytest.raises(oneiro.ModelError, match="does not classify"):
        report(loaded(tmp_path / "again.onnx", classifier(classes=False)), IMG, target=1)


def test_labels_of_another_network_are_no_lack_of_classes(tmp_path: Path) -> None:
    net = loaded(tmp_path / "net.onnx", classifier())
    net.labels = ("ash", "birch")
    with pytest.raises(ArgumentError, match="2 labels for 4 classes"):
        report(net, IMG)


def test_what_a_network_does_not_allow_says_why(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise oneiro.ModelError("there is <nothing> to see")

    monkeypatch.setattr(part, "filters", refuse)
    found = report(net, IMG)
    assert "Not to be had: filters: there is &lt;nothing&gt; to see" in found.html


def test_the_same_photo_makes_the_same_bytes(net: Net, page: Report) -> None:
    assert report(net, IMG, title=f"photo {EVIL}").html == page.html


def test_progress_goes_from_nothing_to_all(net: Net) -> None:
    seen: list[tuple[float, str]] = []
    report(net, IMG, on_step=lambda *at: seen.append(at))
    shares = [share for share, _ in seen]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert {title for _, title in seen} >= METHODS


def test_a_large_network_gets_fewer_squares(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    from oneiro.report.subject import subject

    about = subject(net, IMG, None)
    usual = part.affordable(about)
    monkeypatch.setattr(part, "OPERATIONS", 0)
    assert usual == 2  # px, for a side of 40
    assert part.affordable(about) == 9  # the window itself


def test_some_layers_stand_for_many() -> None:
    names = [str(k) for k in range(11)]
    assert evenly(names, 6) == ["0", "2", "4", "6", "8", "10"]
    assert evenly(names[:3], 6) == ["0", "1", "2"]


# What it may not hold.


def test_nothing_comes_from_elsewhere(page: Report) -> None:
    parsed = Parsed(page.html)
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, value)
        assert not any(name.startswith("on") for name in attributes), tag
    assert not [*parsed.all("link"), *parsed.all("base"), *parsed.all("iframe")]
    bare = re.sub(r"base64,[\w+/=]*", "", page.html)
    assert "http:" not in bare
    assert "https:" not in bare
    assert "url(" not in bare
    assert "@import" not in bare


def test_names_are_text_whatever_they_look_like(page: Report) -> None:
    assert EVIL not in page.html
    parsed = Parsed(page.html)
    assert len([*parsed.all("script")]) == 1
    for name in (f"photo {EVIL}", f"maps {EVIL}", "cedar"):
        assert name in parsed.text


def test_a_notebook_shows_it_in_a_frame(page: Report) -> None:
    (frame,) = Parsed(page._repr_html_()).all("iframe")
    assert frame["srcdoc"] == page.html


def test_it_is_written_whole(page: Report, tmp_path: Path) -> None:
    page.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page.html


def test_without_jinja2_the_error_says_what_to_install(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ArgumentError, match=r'pip install "oneiro\[report\]"'):
        report(net, IMG)


# In a browser.


@pytest.fixture(scope="module")
def window() -> Iterator[browser.Browser]:
    if browser.missing():
        pytest.skip(browser.missing())
    with browser.browser() as window:
        window.resize(1280, 900)
        yield window


@pytest.fixture
def opened(window: browser.Browser, page: Report, tmp_path: Path) -> browser.Browser:
    page.save(tmp_path / "page.html")
    window.open(tmp_path / "page.html")
    return window


def test_a_browser_has_nothing_to_complain_of(opened: browser.Browser) -> None:
    assert opened.errors() == []
    assert opened.run("return document.title").startswith("photo")
    count, loaded = opened.run(
        "const all = [...document.querySelectorAll('figure img')];"
        "return [all.length, all.filter((img) => img.complete && img.naturalWidth > 0).length]"
    )
    assert count == loaded > 12


def test_a_click_enlarges_and_keys_go_on(opened: browser.Browser) -> None:
    is_open = "return document.querySelector('dialog').open"
    caption = "return document.querySelector('dialog p').textContent"
    assert not opened.run(is_open)
    opened.click("#saliency .zoom")
    assert opened.run(is_open)
    assert opened.run(caption).startswith("gradient · ")
    wide = opened.run("return document.querySelector('dialog img').getBoundingClientRect().width")
    assert wide > 1000
    opened.press("\ue014")  # the arrow to the right
    assert opened.run(caption).startswith("guided backprop · ")
    opened.press("\ue012")
    opened.press("\ue012")
    assert opened.run(caption) == "things"  # the last one of the activations
    opened.press("\ue00c")  # Escape
    assert not opened.run(is_open)
    opened.click("#occlusion .zoom")
    opened.click("dialog .close")
    assert not opened.run(is_open)


def test_it_has_a_light_and_a_dark_face(opened: browser.Browser) -> None:
    mean = {}
    for scheme in ("light", "dark"):
        opened.prefer(scheme)
        with Image.open(io.BytesIO(opened.screenshot())) as image:
            pixels = np.asarray(image.convert("L"), float)
        mean[scheme] = pixels.mean()
        assert pixels.std() > 5
    assert mean["light"] > 180
    assert mean["dark"] < 80


@pytest.mark.parametrize("width", [360, 800, 1280, 2000])
def test_nothing_sticks_out_at_any_width(opened: browser.Browser, width: int) -> None:
    opened.resize(width, 900)
    assert opened.run("return document.documentElement.scrollWidth") <= width
    opened.resize(1280, 900)
