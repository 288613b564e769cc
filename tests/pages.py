"""Reading pages: as text, and in a browser."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class Page(HTMLParser):
    """Tables as lists of rows of texts, by id; sources of images; all texts."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.sources, self.texts = {}, [], []
        self._rows = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "table":
            self._rows = self.tables.setdefault(attrs.get("id"), [])
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._cell = []
        elif tag == "img":
            self.sources.append(attrs["src"])

    def handle_data(self, data):
        self.texts.append(data.strip())
        if self._cell is not None and data.strip():
            self._cell.append(data.strip())

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self._rows[-1].append(" ".join(self._cell))
            self._cell = None


def open_page(browser: Any, path: Path) -> list[int]:
    """Open a page: it logs nothing and asks for nothing but itself.

    Returns:
        Widths of all its images, 0 for those that cannot be shown.
    """
    address = path.as_uri()
    browser.get(address)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert address in asked
    assert [url for url in asked if url != address and not url.startswith("data:")] == []
    return browser.execute_script(
        "document.querySelectorAll('img').forEach(image => { image.loading = 'eager' });"
        "return Promise.all(Array.from(document.images, image => image.decode()"
        ".then(() => image.naturalWidth, () => 0)))"
    )


def page_width(browser: Any, path: Path, width: int) -> int:
    """The width that a page needs on a screen of some width."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())
    return browser.execute_script("return document.documentElement.scrollWidth")
