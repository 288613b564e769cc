"""HTML pages from the templates of this package."""

from __future__ import annotations

from typing import Any


def render(template: str, **values: Any) -> str:
    """Fill in a template; every text is escaped, and a value that is missing is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("frugalseg.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
