"""Hosts: which may be logged in at, and which may receive a session's token.

Salesforce's own domains, the canonical form of a login URL, addresses that only look like one, and the settings that
are URLs which receive credentials; then the guards that the deployment configures: the org of a session, and its host.
Every session is checked by these before it is returned, regardless of its provider and of the store it comes from.
"""

import functools
import ipaddress
import re
from collections.abc import Collection
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import instance_url_problem, is_loopback, url_problem
from kinetic_auth_core.redaction import mask
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.fields import not_from_found_files, setting, with_help

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

DEFAULT_LOGIN_URL = "https://login.salesforce.com"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def is_within(host: str, domains: tuple[str, ...]) -> bool:
    """Whether a host is one of these domains or below one."""
    host = host.lower().removesuffix(".")
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def is_trusted_by_itself(url: str) -> bool:
    """Whether a login URL is Salesforce's or this machine's, so that credentials may go there from any file."""
    try:
        host = urlsplit(url.strip()).hostname or ""
    except ValueError:
        return False
    return is_loopback(host) or is_within(host, (*SALESFORCE_DOMAINS, "my.site.com"))


@functools.lru_cache(maxsize=256)
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
    if host in {"http", "https"} and parts.path.startswith("//"):
        return f"begins with https:// twice: write https:{parts.path}"
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
    if ":" not in host and not re.fullmatch(r"[\w.-]+", host):
        return "names a host with a character that no host name has"
    return None


@functools.lru_cache(maxsize=256)
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


def check_url(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a URL that receives credentials.

    Raises:
        ConfigurationError: It is not https (or loopback), or has a user, query or fragment.
    """
    if problem := url_problem(value):
        raise ConfigurationError(problem)


def _check_login_url(instance: object, attribute: object, value: object) -> None:
    if isinstance(value, str) and (problem := _problem_beside_the_address(value)):
        raise ConfigurationError(problem)
    check_url(instance, attribute, value)
    if problem := login_host_problem(str(value)):
        raise ConfigurationError(problem)


def _problem_beside_the_address(url: str) -> str | None:
    """What is wrong with a login URL that has a query or fragment or lacks https://, with the address to write."""
    plain = re.split("[?#]", url, maxsplit=1)[0]
    begun = re.match("https?:/*", plain, re.IGNORECASE)
    if begun and "://" not in begun[0]:
        plain = plain[begun.end() :]
    plain = canonical_login_url(plain)
    if "://" not in plain and re.fullmatch(r"login|test|.+\.my", plain, re.IGNORECASE):  # simple-salesforce's domain=
        plain = f"{plain}.salesforce.com"
    elif re.fullmatch(r"[a-z][a-z0-9-]*", plain, re.IGNORECASE) and not is_loopback(plain):
        plain = f"{plain}.my.salesforce.com"  # the name of a My Domain alone
    address = plain if "://" in plain else canonical_login_url(f"https://{plain}")
    if address == url or (problem := url_problem(url)) is None:
        return None
    if instead := url_problem(address):
        return instead if "write" in instead else problem
    return login_host_problem(address) or f"{problem.partition(';')[0]}: write {address}"


def _foreign_login_host(value: object) -> str | None:
    """Why a file that nobody named may not say that credentials go to this URL; None if it may."""
    if not isinstance(value, str) or is_trusted_by_itself(value if "://" in value else f"https://{value}"):
        return None  # one without https:// is refused for that alone
    return "is a host that is neither Salesforce's nor this machine"


@with_help
def url_setting(
    default: Any = attrs.NOTHING,
    *,
    help: str,  # noqa: A002 - as in `setting`
    converter: Any = None,
    validator: Any = None,
    **options: Any,
) -> Any:
    """A setting that is a URL that receives credentials, or None if that is its default.

    Args:
        default: As for `setting`.
        help: As for `setting`.
        converter: As for `setting`; it gets the URL in canonical form, see `canonical_login_url`.
        validator: As for `setting`; it adds to the check of the URL.
        **options: The other arguments of `setting`.
    """

    def check(instance: object, attribute: object, value: object) -> None:
        if value is not None or default is not None:
            check_url(instance, attribute, value)

    return _url(check, default, help=help, converter=converter, validator=validator, **options)


def login_url_setting(
    default: Any = DEFAULT_LOGIN_URL,
    *,
    help: str = "Host that logs in: https://login.salesforce.com, https://test.salesforce.com, a My Domain or a site.",  # noqa: A002 - as in `setting`
    converter: Any = None,
    validator: Any = None,
    **options: Any,
) -> Any:
    """The `login_url` setting, for subclasses that need it in another place, or with another default or more checks.

    Args:
        default: As for `setting`; `attrs.NOTHING` makes it required.
        help: As for `setting`.
        converter: As for `setting`; it gets the URL in canonical form, see `canonical_login_url`.
        validator: As for `setting`; it adds to the check of the URL.
        **options: The other arguments of `setting`.
    """
    made = _url(_check_login_url, default, help=help, converter=converter, validator=validator, **options)
    return not_from_found_files(made, _foreign_login_host)


def _canonical(value: Any) -> Any:
    """Converter of a URL: into canonical form; anything but text is returned unchanged."""
    return canonical_login_url(value) if isinstance(value, str) else value


def _url(check: Any, default: Any, *, converter: Any, validator: Any, **options: Any) -> Any:
    more = [] if validator is None else [*validator] if isinstance(validator, list | tuple) else [validator]
    convert = _canonical if converter is None else attrs.converters.pipe(_canonical, converter)
    return setting(default, converter=convert, validator=[check, *more], **options)


#: See docs/adr/0014-guards-of-org-and-host.md
SALESFORCE_HOSTS = tuple(f"*.{domain}" for domain in SALESFORCE_DOMAINS)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SHORT = 15  # characters of an id; the other three only make it case-insensitive
_ORG_ID = r"00D[A-Za-z0-9]{12}([A-Z0-5]{3})?"
_LABELS = r"[a-z0-9_*-]+(\.[a-z0-9_*-]+)*"


def check_org_id(_instance: object, _attribute: object, value: object) -> None:
    """Validator for the id of an org, or None.

    Raises:
        ConfigurationError: It is not the id of an org.
    """
    if value is not None and not (isinstance(value, str) and re.fullmatch(_ORG_ID, value)):
        raise ConfigurationError("must be the id of an org: 15 or 18 letters and digits that begin with 00D")


def check_hosts(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a list of globs on host names, or None.

    Raises:
        ConfigurationError: It is empty, or an item is not a host name.
    """
    if value is None:
        return
    if not isinstance(value, Collection) or isinstance(value, str) or not value:
        raise ConfigurationError("must be a list of host names, such as *.my.salesforce.com, with at least one")
    for glob in value:
        if not isinstance(glob, str) or not (_is_address(glob) or re.fullmatch(_LABELS, glob.lower())):
            shown = glob.rpartition("@")[2] if isinstance(glob, str) else glob  # without user and password
            raise ConfigurationError(
                f"{shown!r} is not a host name: write it without scheme, port and path, such as *.my.salesforce.com"
            )
        if "*" in glob.rpartition(".")[2]:
            raise ConfigurationError(f"{glob!r} would allow too many hosts: its last part must not contain *")


def default_hosts(login_url: object) -> tuple[str, ...]:
    """The hosts that are allowed by default: Salesforce's, and the login host.

    Args:
        login_url: The provider's. Without one, the loopback interface is allowed, for tests of such a provider. If it
            is on the loopback interface, each name of that is allowed: an emulated org may use another name.
    """
    try:
        host = urlsplit(login_url).hostname if isinstance(login_url, str) else None
    except ValueError:  # another provider's setting may be any text
        host = None
    return _default_hosts(host)


@functools.lru_cache(maxsize=256)
def _default_hosts(host: str | None) -> tuple[str, ...]:
    if host is None:
        return (*SALESFORCE_HOSTS, *_LOOPBACK)
    if is_loopback(host):
        return (*SALESFORCE_HOSTS, *dict.fromkeys((*_LOOPBACK, host)))
    return SALESFORCE_HOSTS if any(_fits(host, glob) for glob in SALESFORCE_HOSTS) else (*SALESFORCE_HOSTS, host)


class Refusal(NamedTuple):
    """Why a session is rejected.

    Attributes:
        what: The reason, as a clause that follows a colon.
        remedy: What to do.
    """

    what: str
    remedy: str


class Guards(NamedTuple):
    """The requirements for a session.

    Attributes:
        org_id: The id of its org, 15 or 18 characters; None: any org.
        hosts: Globs, one of which its instance's host must match completely, regardless of case and port. `*` as the
            first part matches one or more parts of the name, any other `*` matches characters within its part.
    """

    org_id: str | None = None
    hosts: tuple[str, ...] = SALESFORCE_HOSTS

    def refusal(self, session: SalesforceSession) -> Refusal | None:
        """Why a session is rejected; None if it is accepted."""
        if problem := instance_url_problem(session.instance_url):
            return Refusal(f"its instance_url {problem}.", "Do not use this host; check login_url.")
        if not _is_allowed(session.instance_url, self.hosts):
            host = mask(urlsplit(session.instance_url).netloc, [session.access_token])
            return Refusal(
                f"its instance {host} is not in allowed_instance_hosts ({', '.join(self.hosts)}).",
                "Check login_url; if the host is yours or Salesforce's, add it to allowed_instance_hosts.",
            )
        if self.org_id is not None and (session.org_id or "")[:_SHORT] != self.org_id[:_SHORT]:
            return Refusal(
                f"it is for {f'org {session.org_id}' if session.org_id else 'an unknown org'}, not for {self.org_id}.",
                "Check login_url and the credentials, or set expected_org_id to this org if it is the right one.",
            )
        return None


@functools.lru_cache(maxsize=256)
def _is_allowed(url: str, hosts: tuple[str, ...]) -> bool:
    name = urlsplit(url).hostname or ""
    return any(_fits(name, glob) for glob in hosts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _fits(host: str, glob: str) -> bool:
    host, glob = host.lower().removesuffix("."), glob.lower()
    return host.endswith(glob.rpartition("*")[2]) and bool(_pattern(glob).fullmatch(host))


@functools.lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """A glob as a regular expression; `*` matches only characters that a host name may have."""
    label = "[a-z0-9_-]"
    first, dot, rest = glob.partition(".")
    if first == "*" and dot:
        return re.compile(rf"{label}+(\.{label}+)*\.{_in_one_part(rest, label)}")
    return re.compile(_in_one_part(glob, label))


def _in_one_part(glob: str, label: str) -> str:
    return f"{label}*".join(re.escape(piece) for piece in glob.split("*"))
