"""Login hosts: Salesforce's own domains, the canonical form of a login URL, and addresses that only look like one."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from kinetic_auth_core.locations import is_loopback

#: From Salesforce's help, "Allow the Required Domains"; cloudforce.com is for early My Domains, my-salesforce.com is an
#: alternative that @salesforce/core knows, and the others are for Government Cloud and Salesforce on Alibaba Cloud.
SALESFORCE_DOMAINS: Final = (
    "salesforce.com",
    "force.com",
    "cloudforce.com",
    "my-salesforce.com",
    "salesforce.mil",
    "crmforce.mil",
    "sfcrmproducts.cn",
    "sfcrmapps.cn",
)
#: Below these, everything is a site of an org, whose URL may have a path.
_SITES: Final = ("my.site.com", "force.com")
#: What the browser shows, and the domain of the same org's API.
_BROWSER_DOMAINS: Final = {
    "lightning.force.com": "my.salesforce.com",
    "my.salesforce-setup.com": "my.salesforce.com",
    "lightning.crmforce.mil": "my.salesforce.mil",
    "my.salesforce-setup.mil": "my.salesforce.mil",
}
#: Hosts of pages and files, by which the org's My Domain cannot be told for certain.
_PAGE_DOMAINS: Final = ("vf.force.com", "visual.force.com", "file.force.com", "content.force.com")
_ANY_MY_DOMAIN: Final = "your My Domain, https://<name>.my.salesforce.com"

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def is_within(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a host is one of these domains or below one."""
    host = host.lower().removesuffix(".")
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def is_trusted_by_itself(url: str) -> bool:
    """Whether a login URL is Salesforce's or this machine's, so that credentials may go there whoever wrote it down."""
    try:
        host = urlsplit(url.strip()).hostname or ""
    except ValueError:
        return False
    return is_loopback(host) or is_within(host, (*SALESFORCE_DOMAINS, "my.site.com"))


@lru_cache(maxsize=256)
def canonical_login_url(url: str) -> str:
    """A login URL in one form: scheme and host in lower case, without the default port, a final dot or slash."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    host = (parts.hostname or "").rstrip(".")
    if not host or "\\" in url or not url.isprintable():  # a validator says what is wrong
        return url
    host = f"[{host}]" if ":" in host else host
    with_port = host if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    rest = url[len(re.split("[?#]", url, maxsplit=1)[0]) :]  # also a mark that nothing follows
    return f"{parts.scheme}://{user}{with_port}{parts.path.rstrip('/')}{rest}"


def login_host_problem(url: str) -> str | None:
    """Why a URL, which is one that credentials may be sent to, is no login host of Salesforce; None if it may be one.

    Args:
        url: In canonical form.

    Returns:
        The end of a sentence about the URL, with the address to write instead.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in {"salesforce.com", "www.salesforce.com"}:
        return "is Salesforce's web site: write https://login.salesforce.com"
    for domain, own in _BROWSER_DOMAINS.items():
        if host.endswith(f".{domain}"):
            return f"is the browser's address of the org: write https://{host.removesuffix(domain)}{own}"
    if is_within(host, _PAGE_DOMAINS):
        return f"is the address of pages and files: write {_ANY_MY_DOMAIN}"
    if (meant := _meant(host)) is not None:
        return f"looks like a misspelling: write https://{meant}"
    path = parts.path.lower()
    if "/services/" in f"{path}/":
        site = parts.path[: f"{path}/".index("/services/")]
        return f"must be the host alone, without /services/...: write {parts.scheme}://{parts.netloc}{site}"
    if path and is_within(host, SALESFORCE_DOMAINS) and not is_within(host, _SITES):
        return f"has a path, which a login host has not: write https://{parts.netloc}"
    return None


@lru_cache(maxsize=256)
def _meant(host: str) -> str | None:
    """The Salesforce host that a host is one or two letters away from; None if it is none or such a host itself."""
    labels = host.split(".")
    if is_loopback(host) or host.replace(".", "").isdigit() or ":" in host:
        return None
    if is_within(host, ("salesforce.com",)):
        if len(labels) == 3:
            return next((f"{name}.salesforce.com" for name in ("login", "test") if _is_typo(labels[0], name, 1)), None)
        own = len(labels) > 3 and _is_typo(labels[-3], "my", 1)
        return ".".join([*labels[:-3], "my.salesforce.com"]) if own else None
    if is_within(host, (*SALESFORCE_DOMAINS, "site.com")):
        return None
    for domain in ("salesforce.com", "salesforce.mil", "my.site.com", "my-salesforce.com"):
        count = domain.count(".") + 1
        ending = ".".join(labels[-count:])
        if len(labels) >= count and _is_typo(ending, domain, 2):
            before = ".".join(labels[:-count])
            name = next((name for name in ("login", "test") if before and _is_typo(before, name, 1)), before)
            return f"{name or 'login'}.{domain}"
    missing_dot = next((name for name in ("login", "test") if host == f"{name}salesforce.com"), None)
    return f"{missing_dot}.salesforce.com" if missing_dot else None


def _is_typo(text: str, meant: str, most: int) -> bool:
    return text != meant and abs(len(text) - len(meant)) <= most and _distance(text, meant) <= most


def _distance(one: str, other: str) -> int:
    """How many letters have to be added, removed, replaced or swapped with their neighbour."""
    rows = [list(range(len(other) + 1))]
    for i, mine in enumerate(one, 1):
        row = [i]
        for j, theirs in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (mine != theirs))
            if i > 1 and j > 1 and mine == other[j - 2] and one[i - 2] == theirs:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
