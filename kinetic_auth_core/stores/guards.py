"""Guards that the deployment sets: of which org a session must be, and at which hosts its token may be used.

They judge every session before it is handed out, whoever's provider made it and whatever store it comes from.
"""

import functools
import ipaddress
import re
from collections.abc import Collection
from urllib.parse import urlsplit

import attrs

from kinetic_auth_core.errors import ConfigurationError
from kinetic_auth_core.redaction import mask
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.urls import instance_url_problem, is_loopback

#: From Salesforce's help, "Allow the Required Domains"; cloudforce.com is that of early My Domains, and the last three
#: are Government Cloud's and Salesforce on Alibaba Cloud's. Why these: docs/adr/0014-guards-of-org-and-host.md
SALESFORCE_HOSTS = (
    "*.salesforce.com",
    "*.force.com",
    "*.cloudforce.com",
    "*.salesforce.mil",
    "*.sfcrmproducts.cn",
    "*.sfcrmapps.cn",
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SHORT = 15  # characters of an id; three more only make its case irrelevant
_ORG_ID = re.compile(r"00D[A-Za-z0-9]{12}([A-Z0-5]{3})?")
_LABELS = re.compile(r"[a-z0-9_*-]+(\.[a-z0-9_*-]+)*")


def check_org_id(_instance: object, _attribute: object, value: object) -> None:
    """Validator for the id of an org, or None.

    Raises:
        ConfigurationError: It is none.
    """
    if value is not None and not (isinstance(value, str) and _ORG_ID.fullmatch(value)):
        raise ConfigurationError("must be the id of an org: 15 or 18 letters and digits that begin with 00D")


def check_hosts(_instance: object, _attribute: object, value: object) -> None:
    """Validator for a list of globs on host names, or None.

    Raises:
        ConfigurationError: It is empty, or one is no host name.
    """
    if value is None:
        return
    if not isinstance(value, Collection) or isinstance(value, str) or not value:
        raise ConfigurationError("must be a list of host names, such as *.my.salesforce.com, with at least one")
    for glob in value:
        if not isinstance(glob, str) or not (_is_address(glob) or _LABELS.fullmatch(glob.lower())):
            raise ConfigurationError(f"{glob!r} is no host name: no scheme, port or path, such as *.my.salesforce.com")
        if "*" in glob.rpartition(".")[2]:
            raise ConfigurationError(f"{glob!r} would allow all too many hosts: its last part must be written out")


def default_hosts(login_url: object) -> tuple[str, ...]:
    """The hosts that are allowed where none are set: Salesforce's, and the one that logs in.

    Args:
        login_url: The provider's; None where it has none: then this machine, where such a provider is tried out. If
            this machine logs in, each of its names will do: an org played there knows itself by another than ours.
    """
    try:
        host = urlsplit(login_url).hostname if isinstance(login_url, str) else None
    except ValueError:  # other people's provider, other people's setting
        host = None
    if host is None:
        return (*SALESFORCE_HOSTS, *_LOOPBACK)
    if is_loopback(host):
        return (*SALESFORCE_HOSTS, *dict.fromkeys((*_LOOPBACK, host)))
    return SALESFORCE_HOSTS if any(_fits(host, glob) for glob in SALESFORCE_HOSTS) else (*SALESFORCE_HOSTS, host)


@attrs.frozen
class Refusal:
    """Why a session is refused.

    Attributes:
        what: What is wrong, as a sentence that goes on from "it is refused:".
        remedy: What to do.
    """

    what: str
    remedy: str


@attrs.frozen
class Guards:
    """What a session must be like.

    Attributes:
        org_id: The id of its org, 15 or 18 characters; None: any org.
        hosts: Globs, one of which its instance's host must match as a whole, without regard to case or port. A first
            part `*` stands for one or more parts of the name, any other `*` for characters within its part.
    """

    org_id: str | None = None
    hosts: tuple[str, ...] = SALESFORCE_HOSTS

    def refusal(self, session: SalesforceSession) -> Refusal | None:
        """Why a session is not to be handed out; None if it may be."""
        if problem := instance_url_problem(session.instance_url):
            return Refusal(f"its instance_url {problem}.", "Do not use this host; check login_url.")
        parts = urlsplit(session.instance_url)
        if not any(_fits(parts.hostname or "", glob) for glob in self.hosts):
            shown = mask(parts.netloc, [session.access_token])
            return Refusal(
                f"its instance {shown} is none of allowed_instance_hosts ({', '.join(self.hosts)}).",
                "Check login_url; if the host is yours or Salesforce's, add it to allowed_instance_hosts.",
            )
        if self.org_id is not None and (session.org_id or "")[:_SHORT] != self.org_id[:_SHORT]:
            return Refusal(
                f"it is of {f'org {session.org_id}' if session.org_id else 'an unknown org'}, not of {self.org_id}.",
                "Check login_url and the credentials, or set expected_org_id to the org that is meant.",
            )
        return None


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
    """A glob as a regular expression; what no host name may hold, such as a backslash, fits no `*`."""
    label = "[a-z0-9_-]"
    first, dot, rest = glob.partition(".")
    if first == "*" and dot:
        return re.compile(rf"{label}+(\.{label}+)*\.{_in_one_part(rest, label)}")
    return re.compile(_in_one_part(glob, label))


def _in_one_part(glob: str, label: str) -> str:
    return f"{label}*".join(re.escape(piece) for piece in glob.split("*"))
