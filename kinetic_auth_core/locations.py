"""Paths and URLs as people write them: paths with `~`, and which URLs may carry credentials."""

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kinetic_auth_core.errors import ConfigurationError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path with `~` expanded.

    Raises:
        ConfigurationError: It begins with the home folder of an unknown user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{path} begins with the home folder of an unknown user") from None


def absolute(path: Path) -> Path:
    """A path from the root; as it is, where the working directory has been removed."""
    try:
        return path.absolute()
    except FileNotFoundError:
        return path


def is_there(path: Path) -> bool:
    """Whether a file exists; False if this process may not look."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def url_problem(url: object) -> str | None:
    """Why credentials must not be sent to a URL; None if they may be. The text does not quote the URL."""
    if not isinstance(url, str):
        return "expected text, an https:// URL"
    if not url.isprintable() or " " in url:
        return "has a blank or control character in it"
    if "\\" in url:
        return "has a backslash in it"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its text quotes parts of the URL
        return "is not a valid URL"
    if parts.scheme not in ("https", "http") or "://" not in url:
        return "must begin with https://"
    if not parts.hostname:
        return "names no host"
    if "@" in parts.netloc:
        return "has a user or password in it; leave them out"
    if parts.query or parts.fragment:
        return "has a query or fragment; leave it out"
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        return f"is plain http, which would send credentials in the clear: write https://{parts.hostname}"
    return None


def instance_url_problem(url: object) -> str | None:
    """Why tokens must not be sent to an org's URL: as `url_problem`, and it must have no path."""
    if problem := url_problem(url):
        return problem.partition(",")[0] if problem.startswith("is plain http") else problem  # without the host
    return "has a path; leave it out" if urlsplit(str(url)).path.strip("/") else None


def is_loopback(host: str) -> bool:
    """Whether a host is the loopback interface: `localhost`, 127.0.0.0/8 or ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_slash(value: Any) -> Any:
    """Converter: strip blanks around a URL and slashes at its end; anything but text is returned unchanged."""
    return value.strip().rstrip("/") if isinstance(value, str) else value
