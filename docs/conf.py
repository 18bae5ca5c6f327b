"""How Sphinx builds the documentation: `tox -e docs`."""

import shutil

from sphinx.application import Sphinx

from celery_otel_links import __version__

project = "celery-otel-links"
author = "The celery-otel-links authors"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3  # links to #headings, as on GitHub
exclude_patterns = ["_build", "projects", "**/README.md"]
nitpicky = True
# Nothing is fetched while the documentation is built, so what others document has no address here.
nitpick_ignore_regex = [
    ("py:.*", pattern) for pattern in (r"(opentelemetry|celery|collections|logging|Celery|Tracer|Meter).*",)
]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
# A default that is made by a function has no useful text.
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "celery-otel-links"
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]  # TraceQL has no lexer


def without_empty_patterns(app: Sphinx, page: str, source: list[str]) -> None:
    """A pattern in the table of contents may match no page."""
    if page == "index":
        lines = source[0].splitlines()
        source[0] = "\n".join(line for line in lines if "*" not in line or any(app.srcdir.glob(f"{line}.md")))


def copy_pictures(app: Sphinx, _error: Exception | None) -> None:
    """Pictures with a light and a dark file stand in HTML, where Sphinx does not see them."""
    if app.builder.format == "html":
        leave = shutil.ignore_patterns("*.py")
        shutil.copytree(app.srcdir / "pictures", app.outdir / "pictures", ignore=leave, dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", without_empty_patterns)
    app.connect("build-finished", copy_pictures)
