"""`oneiro report` as it is typed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneiro.cli import report as module

pytestmark = pytest.mark.usefixtures("small_photo")
PHOTO = (72, 48)
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def report(told: Command) -> Command:
    """report("photo.png", ...): the exit code, and what stderr says."""
    return functools.partial(told, "report")


def test_a_page_of_the_embedded_network(report: Command) -> None:
    code, err = report("photo.png", "--class", "tabby")
    assert code == 0, err
    assert err.endswith("wrote photo-report.html\n")
    assert "guided backprop" in err
    assert err.index("saliency" if "saliency" in err else "gradient") < err.index("occlusion")
    page = Path("photo-report.html").read_text("utf-8")
    assert "Which pixels matter for tabby (281)." in page
    assert "squeezenet1.1" in page
    assert "Not to be had" not in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("photo.png", "page.png"), "page.png: a report is an .html file"),
        (("photo.png", "no/page.html"), "no such folder"),
        (("none.png",), "none.png: there is no such file"),
        (("photo.png", "--class", "zyx"), "no class is called 'zyx'"),
    ],
)
def test_one_line_where_something_is_wrong(
    report: Command, arguments: tuple[str, ...], said: str
) -> None:
    code, err = report(*arguments)
    assert code == 1
    assert said in err
    assert "Traceback" not in err
    assert [path.name for path in Path().iterdir()] == ["photo.png"]


def test_ctrl_c_saves_nothing(report: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **options: Any) -> None:
        options["on_step"](0.4, "occlusion")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "report", interrupted)
    code, err = report("photo.png", "out.html")
    assert code == 130
    assert "stopped before the page was finished: nothing saved" in err
    assert not Path("out.html").exists()
