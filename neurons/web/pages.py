"""A page as HTML or as JSON."""

from __future__ import annotations

import json
import time

from neurons.web.addresses import Links
from neurons.web.rendering.environment import template
from neurons.web.site import Page


def html(page: Page, suffix: str = "", *, trying: bool = False, journals: bool = True) -> str:
    """The page with links to pages whose files end with `suffix`; with `trying` also one to *Try a file*, and without
    `journals` none to what is read from these."""
    links = Links(page.address, suffix)
    told = {"facts": page.facts, "links": links, "trying": trying, "journals": journals, "now": time.time()}
    return template(page.template).render(page=page, **told)


def as_json(page: Page) -> str:
    """The same facts for machines."""
    return json.dumps(page.facts, allow_nan=False) + "\n"
