"""A provider whose token is replaced by each login: it can be used once."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

import kinetic_auth_core as kinetic


@attrs.frozen
class BrokerAuthenticator(kinetic.GrantAuthenticator):
    """Logs in through a broker that gives out tickets, each of which is good for one login."""

    single_use: ClassVar[bool] = True

    client_id: str = kinetic.setting(help="Id of this application at the broker.")
    ticket: str = kinetic.setting(help="The first ticket.", secret=True)

    def grant(self, request: kinetic.LoginRequest) -> Mapping[str, str]:
        """The form fields, with the newest ticket."""
        ticket = request.state.get() or self.ticket
        return {"grant_type": "refresh_token", "client_id": self.client_id, "refresh_token": ticket}

    def granted(self, request: kinetic.LoginRequest, answer: Mapping[str, object]) -> None:
        """Keep the ticket that replaces the one that was sent."""
        if isinstance(ticket := answer.get("refresh_token"), str):
            request.state.replace(ticket)
