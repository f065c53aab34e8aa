"""The page in a browser: a real network, a real photo, and what Python makes of it."""

import base64
import io
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro import Net, Picture
from oneiro.image import encoded
from oneiro.models import download
from oneiro.web import ARCHIVE, Server, Site, unpacked
from oracle import browser

EXAMPLES = Path(__file__).parents[3] / "examples"
SIDE = 227  # of the photo: as the network takes it, so that browsers resample nothing
END = "fire5/concat"


@pytest.fixture(scope="module")
def net() -> Net:
    return oneiro.load("squeezenet1.1", device="cpu")


@pytest.fixture(scope="module")
def photo() -> Picture:
    dogs = oneiro.load_image(EXAMPLES / "two_dogs.jpg")
    return Picture(np.asarray(dogs)[200 : 200 + SIDE, 100 : 100 + SIDE])


@pytest.fixture(scope="module")
def server(net: Net, photo: Picture) -> Iterator[Server]:
    if browser.missing():
        pytest.skip(browser.missing())
    kept = download.is_whole(download.place(ARCHIVE), ARCHIVE)
    if not kept and "CI" not in os.environ:
        pytest.skip("CI alone fetches onnxruntime-web (33 MB)")
    with Server(Site(net, unpacked(download.fetch(ARCHIVE)), photo), 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def window(server: Server) -> Iterator[browser.Browser]:
    with browser.browser() as window:
        window.resize(1400, 1200)
        yield window


@pytest.fixture
def page(window: browser.Browser, server: Server) -> browser.Browser:
    """The page, when it has looked at its photo."""
    window.open(server.url)
    assert " ms" in settled(window)
    return window


def settled(window: browser.Browser) -> str:
    """What the page says when it has looked, or cannot."""
    script = """
        const [status, problem] = document.querySelectorAll('#status, #problem');
        return problem.textContent || (/ ms/.test(status.textContent) && status.textContent);
    """
    return str(window.wait(script))


def complaints(window: browser.Browser) -> list[str]:
    """What the console holds, but for Chromium's own words on a machine without WebGPU."""
    return [message for message in window.errors() if "No available adapters" not in message]


def check_alike(found: Any, wanted: Any) -> None:
    """But for colours rounded to bytes, and a few rectifiers at zero that let go or hold back."""
    apart = np.abs(found - np.asarray(wanted))
    assert apart.mean() <= 0.5
    assert (apart > 2).mean() < 1e-3


def text(window: browser.Browser, selector: str) -> Any:
    return window.run(f"return document.querySelector({selector!r}).textContent")


def drawn(window: browser.Browser, selector: str) -> Any:
    """The pixels of a canvas (h, w, 3)."""
    url = window.run(f"return document.querySelector({selector!r}).toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"), float)


def fill(window: browser.Browser, **values: Any) -> None:
    """Put values into fields."""
    for name, value in values.items():
        window.run(f"document.querySelector('#{name}').value = {str(value)!r}")


def choose(window: browser.Browser, field: str, value: str) -> None:
    """As a user does who picks an entry."""
    window.run(
        f"const field = document.querySelector('#{field}'); field.value = {value!r};"
        "field.dispatchEvent(new Event('change'))"
    )


def test_it_looks_at_the_photo(page: browser.Browser, net: Net, photo: Picture) -> None:
    assert text(page, "#name") == "squeezenet1.1"
    assert settled(page).startswith(END)
    np.testing.assert_array_equal(drawn(page, "#photo"), photo)
    top = oneiro.class_target(
        net, int(net.forward({net.input: net.preprocess(photo)})["prob"].argmax())
    )
    page.wait("return document.querySelector('#classes span')")
    assert f"{text(page, '#classes span')} ({top.place[0]})" == top.title
    assert text(page, "#maps-caption").startswith("256 maps of 28 × 28")
    assert complaints(page) == []


def test_nothing_is_asked_of_anybody_else(page: browser.Browser, server: Server) -> None:
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    asked = page.run(script)
    assert f"{server.url}page.js" in asked
    assert all(name.startswith((server.url, "data:", "blob:")) for name in asked)
    script = "return fetch('https://127.0.0.1:9/').then(() => '', (error) => error.name)"
    assert page.run(script) == "TypeError"
    assert any("Content Security Policy" in message for message in page.errors())


@pytest.mark.parametrize("rule", ["guided", "deconv", "gradient"])
def test_a_unit(page: browser.Browser, net: Net, photo: Picture, rule: str) -> None:
    held = net.forward({net.input: net.preprocess(photo)}, end=END)[END][0]
    unit = int(held[:24, 13:15, 13:15].min((1, 2)).argmax())  # that has something to say there
    page.type("#maps", "\ue014" * (unit + 1))  # the arrow to the right: the first unit, the next
    choose(page, "rule", rule)
    name = {"guided": "guided backprop", "deconv": "deconvnet", "gradient": "gradient"}[rule]
    page.wait(
        f"return document.querySelector('#unit').textContent === 'Unit {unit}' &&"
        f"document.querySelector('#unit-caption').textContent.includes('its {name} for all')"
    )
    target = f"{END}:{unit}"
    wanted = oneiro.saliency(net, photo, target, rule=rule, reduce="colour")
    check_alike(drawn(page, "#cause"), wanted)
    check_alike(drawn(page, "#map"), oneiro.Map(held[unit]).colours())
    page.click("#map")  # its middle: one place
    page.wait("return document.querySelector('#unit-caption').textContent.includes('row 1')")
    place = ",".join(re.findall(r"(?:row|column) (\d+)", text(page, "#unit-caption")))
    assert place in ("13,13", "13,14", "14,13", "14,14")
    target = f"{target},{place}"
    wanted = oneiro.saliency(net, photo, target, rule=rule, reduce="colour", crop=False)
    check_alike(drawn(page, "#cause"), wanted)


def test_saliency_of_a_class(page: browser.Browser, net: Net, photo: Picture) -> None:
    page.click("#classes li:nth-child(2) button")
    page.wait("return document.querySelector('#photo-caption').textContent.startsWith('How')")
    name = text(page, "#classes li:nth-child(2) span")
    assert name in text(page, "#photo-caption")
    wanted = oneiro.saliency(net, photo, name).bare(photo)
    check_alike(drawn(page, "#photo"), wanted)
    page.click("#photo")
    page.wait("return document.querySelector('#photo-caption').textContent.startsWith('A click')")
    np.testing.assert_array_equal(drawn(page, "#photo"), photo)


def test_a_dream(page: browser.Browser, net: Net, photo: Picture, tmp_path: Path) -> None:
    page.download_to(tmp_path)
    # more steps would enlarge the last bits in which runtimes differ
    fill(page, steps=1, jitter=0, step=9)
    assert page.run("return document.querySelector('#octaves').value") == "3"
    page.click("#start")
    page.wait("return document.querySelector('#progress').value === 1")
    page.wait("return document.querySelector('#start').textContent === 'Dream'")
    page.click("#save")
    path = tmp_path / "dream.png"
    page.wait("return new Promise((done) => setTimeout(done, 500, true))")
    dreamt = np.asarray(oneiro.load_image(path))
    wanted = np.asarray(oneiro.deepdream(net, photo, iter_n=1, step_size=9, jitter=0))
    assert np.abs(wanted - photo).mean() > 5
    check_alike(dreamt, wanted)
    assert complaints(page) == []


def test_a_dream_can_be_stopped(page: browser.Browser) -> None:
    fill(page, steps=500)
    page.click("#start")
    page.wait("return document.querySelector('#progress').value > 0")
    page.click("#start")
    page.wait("return document.querySelector('#start').textContent === 'Dream'")
    assert page.run("return document.querySelector('#progress').value") < 0.5
    assert page.run("return document.querySelector('#save').disabled") is False


def test_a_photo_from_disk(page: browser.Browser, photo: Picture, tmp_path: Path) -> None:
    small = Picture(np.asarray(photo)[:112, :56])
    (tmp_path / "small.png").write_bytes(encoded(small, ".png"))
    (tmp_path / "none.png").write_bytes(b"this is no picture")
    page.type("#file", str(tmp_path / "small.png"))
    page.wait("return document.querySelector('#octaves').value === '1'")
    page.type("#file", str(tmp_path / "none.png"))
    said = "none.png is no picture that this browser knows"
    assert page.wait("return document.querySelector('#problem').textContent") == said
    assert said in "".join(complaints(page))


def test_the_camera(page: browser.Browser) -> None:
    before = drawn(page, "#photo")
    page.click("#camera")
    page.wait("return document.querySelector('#camera').ariaPressed === 'true'")
    page.wait("return document.querySelector('#status').textContent.includes(' ms')")
    first = drawn(page, "#photo")
    assert np.abs(first - before).mean() > 20
    for _ in range(200):
        if (drawn(page, "#photo") != first).any():
            break
    else:
        raise AssertionError("the camera's picture does not move")
    page.click("#camera")
    assert page.run("return document.querySelector('#camera').ariaPressed") == "false"
    assert complaints(page) == []


@pytest.mark.parametrize("width", [360, 800, 1280, 2000])
def test_nothing_sticks_out_at_any_width(page: browser.Browser, width: int) -> None:
    page.resize(width, 900)
    assert page.run("return document.documentElement.scrollWidth") <= width
    page.resize(1400, 1200)
