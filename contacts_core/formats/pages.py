"""HTML pages made from Jinja2 templates: one file that loads nothing, escaped by default, produced as a stream.

Every value is escaped, and characters that cannot be seen (controls, marks that change the direction of the text) are
shown as replacement characters. A page gets its style, and a policy that allows this style and nothing else, from
``templates/page.html.jinja``, which every template extends.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contacts_core.errors import ConfigurationError

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["page"]

TEMPLATES = Path(__file__).with_name("templates")
PIECES = 100  # of a template that are passed on together: a piece may be a single word


def page(folder: Path, template: str, **values: Any) -> Iterator[str]:
    """Yield the text of a page, in parts.

    An iterable among the values is read as the page proceeds, so it may be longer than memory.

    Args:
        folder: Where the template is.
        template: Its file name.
        **values: What the template shows; a name that it uses and that is missing is an error.

    Raises:
        ConfigurationError: The extra ``plans`` is missing.
    """
    stream = _environment(folder).get_template(template).stream(**values)
    stream.enable_buffering(PIECES)
    yield from stream


@cache
def _environment(folder: Path) -> Environment:
    """Return the environment of the templates in a folder, with the style of all pages and the policy for it."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - only pages need it
        from markupsafe import Markup  # noqa: PLC0415 - as above
    except ModuleNotFoundError:
        raise ConfigurationError("pages need the package jinja2", hint="install contacts-core[plans]") from None

    def visible(value: object) -> object:
        """Return the text of a value with every character visible. What a template made itself stays as it is."""
        if isinstance(value, Markup):
            return value
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))

    environment = Environment(
        loader=FileSystemLoader([folder, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    constants: dict[str, Any] = {"style": Markup(style), "policy": Markup(policy)}  # noqa: S704 - texts of this package
    environment.globals.update(constants)
    return environment
