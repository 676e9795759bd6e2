"""A page in a real browser: what it fetches, what it complains of, and how wide it becomes.

One page of the test holds the page twice, in frames of 400 and of 1,400 pixels, and measures both. It asks
for a picture from elsewhere and complains itself, so that a browser that reports neither fails.
"""

import html as markup
import json
import re
import shutil
import subprocess
from typing import NamedTuple

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium browser (Debian: chromium)")

WIDTHS = (400, 1400)
CONTROL = "http://control.invalid/picture.png"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=5000",
    "--dump-dom",
)
SCHEMES = {"light": [], "dark": ["--blink-settings=preferredColorScheme=0"]}
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 23, 23)"}
MEASURE = """
function texts(page) {
  return [...page.querySelectorAll("body *")].filter(
    (one) => !one.closest("svg") && [...one.childNodes].some((n) => n.nodeType == 3 && n.data.trim()));
}
function measured(frame) {
  const page = frame.contentDocument, root = page.documentElement;
  const style = (one) => frame.contentWindow.getComputedStyle(one);
  page.querySelectorAll("details").forEach((one) => { one.open = true; });
  const beyond = [...page.querySelectorAll("body *")].filter((one) => !one.closest(".wide")
    && one.getBoundingClientRect().right > root.clientWidth + 1);
  return {
    frame: frame.clientWidth,
    client: root.clientWidth,
    scroll: root.scrollWidth,
    beyond: beyond.map((one) => one.outerHTML.slice(0, 80)),
    background: style(page.body).backgroundColor,
    colors: [...new Set(texts(page).map((one) => style(one).color))],
    smallest: Math.min(...texts(page).map((one) => parseFloat(style(one).fontSize))),
    broken: [...page.images].filter((one) => !one.complete || !one.naturalWidth).length,
    images: page.images.length,
  };
}
onload = () => {
  console.error("control of the test");
  document.body.dataset.found = JSON.stringify([...document.querySelectorAll("iframe")].map(measured));
};
"""


class Seen(NamedTuple):
    frames: list[dict]
    console: list[str]
    requests: set[str]


def seen_by_browser(page, folder, scheme):
    """What the browser measured, what it wrote to its console, and what pages asked for."""
    frames = "".join(
        f'<iframe style="width:{width}px; height:900px; border:0" srcdoc="{markup.escape(page)}"></iframe>'
        for width in WIDTHS
    )
    outer = folder / "outer.html"
    outer.write_text(
        f'<!doctype html><meta charset="utf-8"><body><script>{MEASURE}</script><img src="{CONTROL}">{frames}',
        encoding="utf-8",
    )
    log = folder / "net.json"
    places = [f"--user-data-dir={folder / 'user'}", f"--log-net-log={log}", outer.as_uri()]
    resolver = "--host-resolver-rules=MAP * ~NOTFOUND"
    command = [str(CHROMIUM), *FLAGS, *SCHEMES[scheme], resolver, *places]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True)
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    console = re.findall(r"CONSOLE.*", done.stderr)
    return Seen(json.loads(markup.unescape(found[1])), console, requests_in(log))


def requests_in(log):
    """The addresses that pages asked for; those of the browser itself come from no origin."""
    tree = json.loads(log.read_text(encoding="utf-8"))
    start = tree["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event.get("params", {}) for event in tree["events"] if event["type"] == start]
    return {one["url"] for one in asked if "url" in one and one.get("initiator") != "not an origin"}


def contrast(one, other):
    """The contrast of two colours as WCAG 2 has it, (L1 + 0.05) / (L2 + 0.05)."""

    def luminance(color):
        channels = [int(channel) / 255 for channel in re.findall(r"\d+", color)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one) + 0.05, luminance(other) + 0.05), reverse=True)
    return bright / dark


def assert_fits_and_is_legible(page, folder, scheme, *, images):
    """It fetches nothing, fits into both widths, is legible on its paper, and has more pictures than that."""
    seen = seen_by_browser(page, folder, scheme)
    assert seen.requests == {CONTROL}
    assert ["control" in line for line in seen.console if "net::ERR" not in line] == [True]
    assert [frame["frame"] for frame in seen.frames] == list(WIDTHS)
    for frame in seen.frames:
        assert frame["scroll"] <= frame["client"]
        assert frame["beyond"] == []
        assert frame["background"] == BACKGROUND[scheme]
        assert frame["images"] > images
        assert frame["broken"] == 0
        assert frame["smallest"] >= 12
        assert all(contrast(color, frame["background"]) >= 4.5 for color in frame["colors"])
