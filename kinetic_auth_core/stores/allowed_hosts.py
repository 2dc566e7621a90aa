"""Guards that the deployment configures: the org of a session, and the hosts that may receive its token.

Every session is checked before it is returned, regardless of its provider and of the store it comes from.
"""

import functools
import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.locations import instance_url_problem, is_loopback
from kinetic_auth_core.redaction import mask
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.login_hosts import SALESFORCE_DOMAINS

#: See docs/adr/0014-guards-of-org-and-host.md
SALESFORCE_HOSTS = tuple(f"*.{domain}" for domain in SALESFORCE_DOMAINS)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SHORT = 15  # characters of an id; the other three only make it case-insensitive
_ORG_ID = re.compile(r"00D[A-Za-z0-9]{12}([A-Z0-5]{3})?")
_LABELS = re.compile(r"[a-z0-9_*-]+(\.[a-z0-9_*-]+)*")


def check_org_id(_instance: object, _attribute: object, value: object) -> None:
    """Validator for the id of an org, or None.

    Raises:
        ConfigurationError: It is not the id of an org.
    """
    if value is not None and not (isinstance(value, str) and _ORG_ID.fullmatch(value)):
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
        if not isinstance(glob, str) or not (_is_address(glob) or _LABELS.fullmatch(glob.lower())):
            raise ConfigurationError(
                f"{glob!r} is not a host name: write it without scheme, port and path, such as *.my.salesforce.com"
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


@attrs.frozen(eq=False, repr=False, match_args=False)
class Refusal:
    """Why a session is rejected.

    Attributes:
        what: The reason, as a clause that follows a colon.
        remedy: What to do.
    """

    what: str
    remedy: str


@attrs.frozen(eq=False, repr=False, match_args=False)
class Guards:
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
    return bool(_pattern(glob.lower()).fullmatch(host.lower().removesuffix(".")))


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
