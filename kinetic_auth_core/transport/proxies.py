"""The proxies of the environment: which variable names one, and what is wrong with its address."""

import contextlib
import os
import re
import sys
from urllib.parse import urlsplit

#: What requests and urllib3 can speak to; a proxy without a scheme is spoken to by http.
SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")


def may_have_proxies() -> bool:
    """Whether a proxy may be configured: in the environment, or in the settings of macOS or Windows.

    `requests` walks through all names and values of the environment four times to find out.
    """
    has_settings = sys.platform == "darwin" or os.name == "nt"  # as urllib.request asks
    return has_settings or any(name[-6:].lower() == "_proxy" for name in os.environ)


def proxy_problem(proxy: str) -> str | None:
    """Why a proxy's address cannot be used, as a sentence that does not quote it; None if it can be.

    Args:
        proxy: The address, with or without a scheme.
    """
    scheme = _SCHEME.match(proxy)
    if scheme and scheme[1].lower() not in SCHEMES:
        return "the proxy's address must begin with http://, https:// or socks5h://"
    try:
        parts = urlsplit(proxy if scheme else f"http://{proxy}")
        fits = bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text quotes parts of the address
        fits = False
    return None if fits else "the proxy's address is malformed: write http://HOST:PORT"


def variable_of(url: str, proxy: str) -> str:
    """The variable of the environment that names the proxy for a URL; `proxy` where it is none.

    Args:
        url: That is to be asked.
        proxy: The proxy that was chosen for it.
    """
    scheme = url.partition(":")[0].lower()
    names = [f"{scheme}_proxy", "all_proxy"]
    found = [name for each in names for name in (each, each.upper()) if os.environ.get(name) == proxy]
    return found[0] if found else "proxy"


def host_and_port(proxy: str | None) -> str:
    """A proxy's host and port with a blank before, and nothing else of its address; empty where there is none."""
    with contextlib.suppress(ValueError):
        text = proxy or ""
        parts = urlsplit(text if _SCHEME.match(text) else f"http://{text}")
        if parts.hostname:
            return f" {parts.hostname}{'' if parts.port is None else f':{parts.port}'}"
    return ""
