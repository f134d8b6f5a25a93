"""What MkDocs does besides: pages made of the files at the root, links into the repository.

The pages are written for a reader of the repository. On the site, links to files that are no pages
(tests, examples, sources) become their path in code type.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Files at the root that are pages of the site, and the names they get.
ROOT_PAGES = {
    "README.md": "get_started.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
_FENCE = re.compile(r"(^```.*?^```[ \t]*$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|mailto:|#)([^)\s]+)\)")
#: Sphinx's roles in docstrings, as they come out: ":class:" and code.
_ROLE = re.compile(r":(?:class|func|meth|data|attr|exc|mod|pep):<code>(~?)([^<]+)</code>")
_COMMENT = re.compile(r"^<!-- (?:begin|end) \w+ -->\n?", re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Add the files at the root."""
    from mkdocs.structure.files import File

    for source, page in ROOT_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Bring a page's links to the site's names."""
    uri = page.file.src_uri
    from_root = uri in ROOT_PAGES.values()
    depth = uri.count("/")

    def renamed(found: re.Match[str]) -> str:
        text, target = found.groups()
        path, _, anchor = target.partition("#")
        place = ROOT if from_root else (ROOT / "docs" / uri).parent
        full = (place / path).resolve()
        if not full.is_relative_to(ROOT):
            return found[0]  # MkDocs says that it leads nowhere
        inside = full.relative_to(ROOT).as_posix()
        anchor = f"#{anchor}" if anchor else ""
        if inside in ROOT_PAGES:
            return f"[{text}]({'../' * depth}{ROOT_PAGES[inside]}{anchor})"
        if inside.startswith("docs/") and full.is_file():
            return f"[{text}]({'../' * depth}{inside.removeprefix('docs/')}{anchor})"
        if full.exists():
            plain = text.strip("`")
            return f"`{plain}`" if inside.endswith(plain) else f"{text} (`{inside}`)"
        return found[0]

    parts = _FENCE.split(_COMMENT.sub("", markdown))
    return "".join(part if part.startswith("```") else _LINK.sub(renamed, part) for part in parts)


def on_page_content(html: str, **_: Any) -> str:
    """Show a role of a docstring as its name: of ``~package.module.Name`` the last part."""
    return _ROLE.sub(lambda found: f"<code>{_shown(*found.groups())}</code>", html)


def _shown(short: str, name: str) -> str:
    return name.rpartition(".")[2] if short else name
