"""Classes of plugin authors: a setting without `default=` is required, for a type checker as at run time."""

from collections.abc import Mapping

import attrs

import kinetic_auth_core as kinetic


@attrs.frozen
class Sso(kinetic.GrantAuthenticator):
    ticket: str = kinetic.setting(help="The ticket.", secret=True)
    attempts: int = kinetic.setting(default=3, help="How often to try.")
    realm: str | None = kinetic.setting(default=None, help="The realm.", kw_only=True)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        return {"grant_type": "sso", "ticket": self.ticket, "user": request.username or ""}


@attrs.frozen
class Required(kinetic.GrantAuthenticator):
    login_url: str = kinetic.login_url_setting(attrs.NOTHING, kw_only=True)
    ticket: str = kinetic.setting(help="The ticket.", secret=True)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        return {"ticket": self.ticket, "now": str(request.now)}


Sso("ticket")
Sso("ticket", 5, realm="acme", login_url="https://acme.my.salesforce.com", read_timeout=2)
Sso()  # type: ignore[call-arg]
Sso("ticket", "often")  # type: ignore[arg-type]
Sso("ticket", 5, "acme")  # type: ignore[call-arg]
Sso("ticket", tiket="x")  # type: ignore[call-arg]
Required("ticket", login_url="https://acme.my.salesforce.com")
Required("ticket")  # type: ignore[call-arg]
