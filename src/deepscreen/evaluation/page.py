"""Self-contained HTML pages without script, in which names of files and sources are shown harmlessly."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from deepscreen.report.as_html import TEMPLATES
from deepscreen.report.wording import sentence, shown


def render_page(template: str, styles: Sequence[str], filters: Mapping[str, Callable[..., str]], **values: Any) -> str:
    """*template* with the style sheets named, and a policy under which a browser takes nothing else.

    ``values``: what the template names, beside ``style`` and ``policy``.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters.update({"sentence": sentence, **filters})
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(
        # Our own file, not input: it holds no end tag that would close its element.
        style=Markup(style),
        policy=Markup(f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{digest}'"),
        **values,
    )


def _harmless(value: Any) -> Any:
    return shown(value) if type(value) is str else value
