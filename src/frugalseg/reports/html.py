"""HTML pages from the templates of this package."""

from __future__ import annotations

import re
from typing import Any


def render(template: str, **values: Any) -> str:
    """Fill in a template; every text is escaped, and a missing value is an error.

    The filter `options` marks up options of commands as code.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frugalseg.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["options"] = _options
    return environment.get_template(template).render(**values)


def _options(text: str) -> Any:
    """Mark up options such as `--classes 3` as code."""
    from markupsafe import Markup, escape

    typed = re.sub(r"--[a-z][a-z-]+( (auto|[0-9]+))?", r"<code>\g<0></code>", str(escape(text)))
    return Markup(typed)
