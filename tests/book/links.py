"""Follows every link of a built book that leads into the book: the file has to be there, and the anchor in it.

Links to elsewhere are not followed, because a build should not depend on other people's machines; only their form is looked at.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "object": "data"}


class Page(HTMLParser):
    """The anchors of a page, and where it leads to."""

    def __init__(self, text):
        super().__init__()
        self.anchors = set()
        self.links = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if attrs.get("id"):
            self.anchors.add(attrs["id"])
        target = attrs.get(LINKS.get(tag, ""))
        if target:
            self.links.append((tag, target))


def problems(root):
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(root.rglob("*.html"))}
    followed = 0
    for path, page in pages.items():
        # Served for whatever address is wrong, so its links begin at the root of a server.
        if path.name == "404.html":
            continue
        for tag, link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if parts.scheme not in ("http", "https", "mailto", "data"):
                    yield f"{path.relative_to(root)}: {link}: of no known kind"
                continue
            followed += 1
            target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
            if not target.is_file():
                yield f"{path.relative_to(root)}: {link}: nothing is there"
            elif root not in target.parents:
                yield f"{path.relative_to(root)}: {link}: leads out of the book"
            elif parts.fragment and tag == "a" and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{path.relative_to(root)}: {link}: no such anchor"
    if followed < 100:
        yield f"only {followed} links were found: this is not the book"
    else:
        print(f"{followed} links in {len(pages)} pages")


def main():
    root = Path(sys.argv[1]).resolve()
    found = list(problems(root))
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
