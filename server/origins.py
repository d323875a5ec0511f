"""Which pages may ask: a browser says where a page comes from, and keeps answers from strangers."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..domain.commands import check_many

_LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?"


class Origins:
    """Which origins may ask.

    A browser sends simple requests before it asks whether it may: what such a request does is
    done, although its page does not see the answer. So who may not ask is refused here too.

    Args:
        chosen: origins, or `*` for all; none leaves it to the host. `None` takes the default.
        authenticated: users are authenticated by what a stranger's page does not have.
        hosts: names under which one may ask; `None` for all. A stranger's page that has its own
            name lead to this machine comes from where it asks, but asks under that name.

    Raises:
        InvalidValue: `chosen` or `hosts` is no sequence.

    """

    def __init__(
        self,
        chosen: Sequence[str] | None,
        *,
        authenticated: bool,
        hosts: Collection[str] | None = None,
    ) -> None:
        self._hosts = None if hosts is None else frozenset(check_many(hosts, "hosts"))
        default = ("*",) if authenticated else None
        if chosen == "*":
            chosen = ("*",)
        self._chosen = default if chosen is None else check_many(chosen, "cors_origins")

    @property
    def cors(self) -> dict[str, Any] | None:
        """The settings that say so to browsers; `None` if that is the host's business."""
        if self._chosen is None:
            return {"allow_origin_regex": _LOOPBACK}
        return {"allow_origins": list(self._chosen)} if self._chosen else None

    def answers_to(self, host: str | None) -> bool:
        """Whether one may ask under this name, with or without a port."""
        if self._hosts is None:
            return True
        try:
            return urlsplit(f"//{host or ''}").hostname in self._hosts
        except ValueError:
            return False

    def may_ask(self, origin: str | None, host: str | None) -> bool:
        """Whether a page may change something here.

        Args:
            origin: where the page comes from; `None` for what is no page.
            host: under which name it asks.

        """
        if origin is None or self._chosen == () or urlsplit(origin).netloc == host:
            return True
        if self._chosen is None:
            return re.fullmatch(_LOOPBACK, origin) is not None
        return "*" in self._chosen or origin in self._chosen
