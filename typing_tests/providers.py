"""Constructors of our providers: a call that cannot work is an error for a type checker.

mypy reads this file, and nothing runs it. `warn_unused_ignores` reports each error below that is not there.
"""

from typing import assert_type

from kinetic_auth_access_token import AccessTokenAuthenticator
from kinetic_auth_client_credentials import ClientCredentialsAuthenticator
from kinetic_auth_core import JWTAuthenticator, OAuthAuthenticator, SalesforceSession, SessionSource, resolve
from kinetic_auth_sf_cli import SfCliAuthenticator
from kinetic_auth_token_exchange import TokenExchangeAuthenticator
from kinetic_auth_web_login import RefreshTokenAuthenticator, WebLoginAuthenticator

HOST = "https://acme.my.salesforce.com"

jwt = JWTAuthenticator("id", "a@acme.example", "key", None, HOST, audience=HOST, deadline=30, proxy=None)
assert_type(jwt, JWTAuthenticator)
assert_type(jwt.login_url, str)
assert_type(jwt.deadline, float)
assert_type(jwt.authenticate(), SalesforceSession)
JWTAuthenticator(client_id="id", username="a@acme.example", private_key=[b"new", "old"])
JWTAuthenticator("id", private_key="key")  # type: ignore[call-arg]
JWTAuthenticator("id", "a@acme.example", usrname="b")  # type: ignore[call-arg]
JWTAuthenticator("id", "a@acme.example", private_key=3)  # type: ignore[arg-type]
JWTAuthenticator("id", "a@acme.example", "key", None, HOST, HOST)  # type: ignore[call-arg]
JWTAuthenticator("id", "a@acme.example", deadline="soon")  # type: ignore[arg-type]
jwt.username = "b"  # type: ignore[misc]
assert_type(JWTAuthenticator.from_env(), JWTAuthenticator)

OAuthAuthenticator("id", "secret", "a@acme.example", "password", "token", HOST, api_version="v62.0")
OAuthAuthenticator("id", "secret", "a@acme.example")  # type: ignore[call-arg]

ClientCredentialsAuthenticator("id", "secret", HOST, client_cert="app.pem")
ClientCredentialsAuthenticator("id", "secret")  # type: ignore[call-arg]

TokenExchangeAuthenticator("id", "token", HOST, scope="api")
TokenExchangeAuthenticator("id", login_url=HOST)  # type: ignore[call-arg]

WebLoginAuthenticator("id", username="a@acme.example", redirect_port=1718)
WebLoginAuthenticator()  # type: ignore[call-arg]

RefreshTokenAuthenticator("id", "token", login_url=HOST)
RefreshTokenAuthenticator("id")  # type: ignore[call-arg]

AccessTokenAuthenticator("token", HOST)
AccessTokenAuthenticator("token")  # type: ignore[call-arg]

SfCliAuthenticator()
SfCliAuthenticator(target_org=3)  # type: ignore[arg-type]

source = resolve("jwt-bearer", client_id="id")
assert_type(source, SessionSource)
assert_type(source.session(), SalesforceSession)
assert_type(SessionSource(jwt).session().auth_header, dict[str, str])
resolve(provider="jwt-bearer", environment=3)  # type: ignore[arg-type]
