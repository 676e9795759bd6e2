"""A page as a browser would read it: tags, what it might fetch or run, ids."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Everything that a browser might fetch or run, every id, and tags that were not closed."""

    VOID = ("meta", "path", "use", "image", "br", "img", "wbr")

    def __init__(self):
        super().__init__()
        self.links, self.tags, self.ids, self.open, self.handlers = [], set(), [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [v for k, v in attributes if k in ("src", "href", "xlink:href", "action", "data")]
        self.ids += [v for k, v in attributes if k == "id"]
        self.handlers += [k for k, _ in attributes if k.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def assert_clean(page):
    """Well formed, and nothing in it that a browser would run or fetch."""
    reader = Reader()
    reader.feed(page)
    assert not reader.open
    assert not reader.handlers
    assert not reader.tags & {"script", "link", "iframe", "object", "embed", "i-am-markup"}
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in reader.links)
