"""The page in a browser: a real network, a real photo, and what Python makes of it."""

import base64
import io
import json
import os
import re
from collections import ChainMap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oneiro
from oneiro import Net, Picture, Preprocess
from oneiro.image import encoded
from oneiro.models import download
from oneiro.web import ARCHIVE, Site, unpacked
from oneiro.web.server import Server
from oracle import browser, small
from oracle.server import serving

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
def site(net: Net, photo: Picture) -> Site:
    if browser.missing():
        pytest.skip(browser.missing())
    kept = download.is_whole(download.place(ARCHIVE), ARCHIVE)
    if not kept and "CI" not in os.environ:
        pytest.skip("CI alone fetches onnxruntime-web (33 MB)")
    return Site(net, unpacked(download.fetch(ARCHIVE)), photo)


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    with serving(Server(site, 0)) as server:
        yield server


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


def choose(window: browser.Browser, field: str, value: object) -> None:
    """As a user does who picks an entry."""
    window.run(
        f"const field = document.querySelector('#{field}'); field.value = {str(value)!r};"
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


def test_nor_by_the_worker(window: browser.Browser, site: Site) -> None:
    """It has the picture, and no worker from a file is bound by what a page says of itself."""
    worker = b"""
        self.onmessage = async ({ data: { id } }) => {
            if (id === undefined) return;
            const refused = new Promise((done) => {
                self.addEventListener("securitypolicyviolation", (event) => done(event.blockedURI));
                setTimeout(done, 2000, "nothing");
            });
            await fetch("https://127.0.0.1:9/").catch(() => {});
            self.postMessage({ id, error: `refused: ${await refused}` });
        };
    """
    with serving(Server(ChainMap({"worker.js": worker}, site), 0)) as server:
        window.open(server.url)
        assert settled(window) == "refused: https://127.0.0.1:9/"
    assert complaints(window)


def test_a_worker_that_cannot_be_loaded(window: browser.Browser, site: Site) -> None:
    with serving(Server(ChainMap({"worker.js": b"import './none.js'"}, site), 0)) as server:
        window.open(server.url)
        assert settled(window) == "the worker could not be loaded"
        choose(window, "rule", "deconv")
        assert settled(window) == "the worker could not be loaded"
    assert complaints(window)


def test_before_any_photo(window: browser.Browser, site: Site) -> None:
    facts = json.loads(site["net.json"]) | {"photo": None}
    with serving(Server(ChainMap({"net.json": json.dumps(facts).encode()}, site), 0)) as server:
        window.open(server.url)
        window.wait("return document.querySelector('#status').textContent === 'ready'")
        window.type("#maps", "\ue014\ue004")  # an arrow, Tab
        assert complaints(window) == []
        window.click("#start")
        assert settled(window) == "open a photo first"
    assert complaints(window)


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


def test_maps_of_the_layer_before_choose_no_unit(page: browser.Browser) -> None:
    page.run("document.querySelector('#layer').selectedIndex = 0")
    page.run("""
        document.querySelector('#layer').dispatchEvent(new Event('change'));
        const box = document.querySelector('#maps').getBoundingClientRect();
        const middle = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
        document.querySelector('#maps').dispatchEvent(new MouseEvent('click', middle));
    """)
    page.wait("return document.querySelector('#maps-caption').textContent.startsWith('64 maps')")
    assert settled(page)
    assert text(page, "#unit") == "A unit"
    assert complaints(page) == []


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


def test_a_dream_that_is_stopped_twice_begins_no_other(page: browser.Browser) -> None:
    fill(page, steps=500)
    page.run("for (let k = 0; k < 3; k++) document.querySelector('#start').click()")
    page.wait("return document.querySelector('#start').textContent === 'Dream'")
    page.run("return new Promise((done) => setTimeout(done, 300))")
    assert page.run("return document.querySelector('#progress').hidden")
    assert page.run("return document.querySelector('#progress').value") < 0.5


def test_a_dream_wants_all_its_numbers(page: browser.Browser) -> None:
    assert page.run("return document.querySelector('#settings').checkValidity()")
    fill(page, steps="")
    assert not page.run("return document.querySelector('#settings').checkValidity()")
    fill(page, steps=1, side=2048, scale=1.05)
    page.run("document.querySelector('#scale').dispatchEvent(new Event('change'))")
    assert page.run("return document.querySelector('#settings').checkValidity()")


def test_a_dream_of_a_network_for_one_size(
    window: browser.Browser, site: Site, photo: Picture, net_of: Callable[..., Net]
) -> None:
    """It dreams of what the network sees, and squeezes nothing."""
    net = net_of(small.resize())
    net.size = 26, 36
    net.preprocessing = Preprocess(99.0, 0.01, "BGR")
    runtime = {path[4:]: site[path] for path in site if path.startswith("ort/")}
    with serving(Server(Site(net, runtime, Picture(np.asarray(photo)[:52])), 0)) as server:
        window.open(server.url)
        assert " ms" in settled(window)
        choose(window, "layer", window.run("return document.querySelector('#layer').length - 1"))
        fill(window, octaves=3, steps=1, step=0.01, jitter=0)
        window.click("#start")
        window.wait("return document.querySelector('#start').textContent === 'Dream'")
        assert text(window, "#problem") == ""
        np.testing.assert_allclose(drawn(window, "#dream"), drawn(window, "#photo"), atol=2)


def test_a_photo_from_disk(page: browser.Browser, photo: Picture, tmp_path: Path) -> None:
    part = Picture(np.asarray(photo)[:112, :56])
    (tmp_path / "small.png").write_bytes(encoded(part, ".png"))
    (tmp_path / "none.png").write_bytes(b"this is no picture")
    page.type("#file", str(tmp_path / "small.png"))
    page.wait("return document.querySelector('#octaves').value === '1'")
    page.type("#file", str(tmp_path / "none.png"))
    said = "none.png is no picture that this browser knows"
    assert page.wait("return document.querySelector('#problem').textContent") == said
    assert said in "".join(complaints(page))


def test_the_middle_of_a_photo_that_is_transparent_or_turned(
    page: browser.Browser, tmp_path: Path
) -> None:
    with Image.open(EXAMPLES / "two_dogs.jpg") as dogs:
        part = dogs.crop((100, 200, 401, 200 + SIDE))
    veil = Image.fromarray(np.arange(SIDE * 301, dtype=np.uint8).reshape(SIDE, 301))
    part.putalpha(veil)
    part.save(tmp_path / "transparent.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # it stands when it is turned to the right
    turned = part.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95, subsampling=0)
    for name in ("transparent.png", "turned.jpg"):
        wanted = np.asarray(oneiro.load_image(tmp_path / name))[:, 37 : 37 + SIDE]
        before = page.run("return document.querySelector('#photo').toDataURL()")
        page.type("#file", str(tmp_path / name))
        page.wait(f"return document.querySelector('#photo').toDataURL() !== {before!r}")
        check_alike(drawn(page, "#photo"), wanted)
    assert complaints(page) == []


def test_of_two_photos_the_one_that_was_opened_last_is_shown(
    page: browser.Browser, photo: Picture, tmp_path: Path
) -> None:
    page.run("""
        const make = createImageBitmap;
        let pause = 500; // of the first
        window.createImageBitmap = async (file) => {
            const wait = new Promise((done) => setTimeout(done, pause));
            pause = 0;
            await wait;
            return make(file);
        };
    """)
    for name, picture in (("first", photo[::-1]), ("last", photo[:, ::-1])):
        (tmp_path / f"{name}.png").write_bytes(encoded(Picture(picture), ".png"))
        page.type("#file", str(tmp_path / f"{name}.png"))
    page.run("return new Promise((done) => setTimeout(done, 1000))")
    np.testing.assert_array_equal(drawn(page, "#photo"), photo[:, ::-1])


def moves(page: browser.Browser) -> bool:
    """Whether the camera's picture changes."""
    first = drawn(page, "#photo")
    return any((drawn(page, "#photo") != first).any() for _ in range(200))


@pytest.fixture
def filmed(page: browser.Browser) -> Iterator[browser.Browser]:
    """The page with the camera on; `tracks` are those that it was given."""
    page.run("""
        window.tracks = [];
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (wish) => {
            const stream = await ask(wish);
            tracks.push(...stream.getTracks());
            return stream;
        };
        for (let k = 0; k < 2; k++) document.querySelector('#camera').click();
    """)
    page.wait("return document.querySelector('#camera').ariaPressed === 'true'")
    yield page
    page.click("#camera")
    assert page.run("return document.querySelector('#camera').ariaPressed") == "false"
    assert page.run("return tracks.map((track) => track.readyState)") == ["ended", "ended"]
    assert complaints(page) == []


def test_the_camera(filmed: browser.Browser, photo: Picture) -> None:
    assert moves(filmed)
    assert np.abs(drawn(filmed, "#photo") - photo).mean() > 20


def test_a_class_stays_under_a_click(filmed: browser.Browser) -> None:
    filmed.run("window.row = document.querySelector('#classes button')")
    assert moves(filmed)
    assert filmed.run("return row.isConnected")


def test_another_provider_while_the_camera_runs(filmed: browser.Browser) -> None:
    choose(filmed, "provider", "wasm")
    assert moves(filmed)
    assert text(filmed, "#problem") == ""


def test_an_error_ends_the_camera(page: browser.Browser) -> None:
    page.click("#camera")
    page.wait("return document.querySelector('#camera').ariaPressed === 'true'")
    page.run("document.querySelector('#layer').append(new Option('none', 'none'))")
    choose(page, "layer", "none")
    page.wait("return document.querySelector('#camera').ariaPressed === 'false'")
    assert complaints(page)


@pytest.mark.parametrize("width", [360, 800, 1280, 2000])
def test_nothing_sticks_out_at_any_width(page: browser.Browser, width: int) -> None:
    page.resize(width, 900)
    assert page.run("return document.documentElement.scrollWidth") <= width
    page.resize(1400, 1200)


def test_a_layer_that_is_picked_is_what_is_dreamt(page: browser.Browser) -> None:
    assert page.run("return document.querySelector('#goal').value") == "favourite"
    choose(page, "layer", "3")
    name = page.run("return document.querySelector('#layer').selectedOptions[0].text")
    shown = page.run("return document.querySelector('#goal').selectedOptions[0].text")
    assert name.startswith(f"{shown} (")
