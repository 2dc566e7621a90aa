"""The control plane below `/__emulator__/`: the emulator driven over HTTP, for tests in any language.

It wants `Content-Type: application/json`, which no web page can send here unasked, and a `Host` that is the emulator's
own, which stops DNS rebinding. With a control token it wants that instead of the `Host`.
"""

from __future__ import annotations

import datetime as dt
import hmac
import json
from collections.abc import Callable, Collection, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

import attrs
from werkzeug.wrappers import Request, Response

from kinetic_auth_core.testing.emulator import faults
from kinetic_auth_core.testing.emulator.content import bearer, json_answer
from kinetic_auth_core.testing.emulator.models import App, User, listed
from kinetic_auth_core.testing.emulator.soql import DataError

if TYPE_CHECKING:
    from kinetic_auth_core.testing.emulator.emulator import SalesforceEmulator

PREFIX: Final = "/__emulator__"
_SECRETS: Final = frozenset({"client_secret", "password", "security_token"})
_HIDDEN: Final = frozenset({"certificates", "recent_logins", "approvals", "token_handlers"})
_FAULTS: Final = (
    "Alter", "Answer", "Delay", "Dribble", "Html", "Huge", "NotJson", "Raw", "Redirect", "Reset", "Status", "Truncated",
)  # fmt: skip
_HELP: Final = {
    "GET /__emulator__/": "this description",
    "POST expire": 'expire access tokens: {} all, {"token": T} one',
    "POST revoke": 'revoke access and refresh tokens: {} all, {"token": T} one',
    "GET policy": "the settings of the org",
    "PATCH policy": 'change some of them: {"rotate_refresh_tokens": true}',
    "GET users": "the users, without their secrets",
    "POST users": 'create one, or change the one of that name: {"username": U, "active": false}',
    "GET apps": "the apps, without their secrets",
    "POST apps": 'create one, or change the one of that key: {"client_id": C, "redirect_uris": [R], "external": true}',
    "POST records/<Object>": "add a record, or a list of them; answers their ids",
    "POST faults": 'reject token requests: {"error": E, "error_description": D, "status": 400, "times": 1}; or inject '
    f'a fault: {{"fault": F, "path": P, "times": 1, ...}}, F being one of {", ".join(_FAULTS)}',
    "DELETE faults": "remove what is pending of them",
    "GET history": "the requests with the names and lengths of their fields, and the login history; never a value",
}


class ControlPlane:
    """Answers requests below `/__emulator__/`."""

    def __init__(self, emulator: SalesforceEmulator) -> None:
        self._emulator = emulator

    def answer(self, request: Request) -> Response:
        """Answer one request, always in JSON; what is wrong is `{"error": text}`."""
        token = self._emulator.control_token
        if token is not None:
            if not hmac.compare_digest(bearer(request).encode(), token.encode()):
                return json_answer({"error": "this needs the control token, as Authorization: Bearer"}, 401)
        elif request.host not in self._emulator.own_hosts:
            return json_answer({"error": "the Host of the request is not the emulator's"}, 403)
        if request.method in {"POST", "PATCH"} and request.mimetype != "application/json":
            return json_answer({"error": "the body must be JSON, with Content-Type: application/json"}, 415)
        name, _, rest = request.path.removeprefix(PREFIX).strip("/").partition("/")
        act = self._actions().get((request.method, name))
        if act is None or bool(rest) is not (name == "records"):
            return json_answer({"error": f"there is no {request.method} {request.path}", "see": _HELP}, 404)
        try:
            return json_answer(act(json.loads(request.get_data() or b"{}"), rest))
        except DataError as error:
            return json_answer({"error": error.message}, 400)
        except (TypeError, ValueError, AttributeError) as error:
            return json_answer({"error": f"{error}"}, 400)

    def _actions(self) -> Mapping[tuple[str, str], Callable[[Any, str], object]]:
        sf = self._emulator
        return {
            ("GET", ""): lambda *_: _HELP,
            ("POST", "expire"): lambda body, _: {"expired": _one_or_all(body, sf.expire, sf.expire_all)},
            ("POST", "revoke"): lambda body, _: {"revoked": _one_or_all(body, sf.revoke, sf.revoke_all)},
            ("GET", "policy"): lambda *_: _shown(sf.policy),
            ("PATCH", "policy"): lambda body, _: _shown(_change(sf.policy, body)),
            ("GET", "users"): lambda *_: [_shown(each) for each in sf.users],
            ("POST", "users"): self._post_user,
            ("GET", "apps"): lambda *_: [_shown(each) for each in sf.apps],
            ("POST", "apps"): self._post_app,
            ("POST", "records"): self._post_records,
            ("POST", "faults"): self._post_fault,
            ("DELETE", "faults"): self._delete_faults,
            ("GET", "history"): lambda *_: self._history(),
        }

    def _post_user(self, body: Any, _: str) -> object:
        sf, fields = self._emulator, _known(User, body)
        name = fields.pop("username", "")
        found = next((each for each in sf.users if each.username.lower() == str(name).lower()), None)
        return _shown(_change(found, fields) if found else sf.add_user(name, **fields), secrets=True)

    def _post_app(self, body: Any, _: str) -> object:
        sf, fields = self._emulator, _known(App, body)
        found = next((each for each in sf.apps if each.client_id == fields.get("client_id")), None)
        if found is None:
            return _shown(sf.add_app(**fields), secrets=True)
        for certificate in listed(fields.pop("certificates", ())):
            sf.upload_certificate(found, certificate)
        del fields["client_id"]
        return _shown(_change(found, fields), secrets=True)

    def _post_records(self, body: Any, kind: str) -> object:
        records = body if isinstance(body, list) else [body]
        if not all(isinstance(each, dict) for each in records):
            raise TypeError("the body is a record, or a list of records")
        return {"ids": self._emulator.add_records(kind, *records)}

    def _post_fault(self, body: Any, _: str) -> object:
        given = dict(body)
        times = given.pop("times", 1)
        if "error" in given:
            names = {"error": "error", "description": "error_description", "status": "status"}
            rejection = {name: given.pop(key) for name, key in names.items() if key in given}
            _refuse_unknown(given)
            self._emulator.refuse(**_fitting(faults.Refusal, rejection), times=times)
            return {}
        name, path = given.pop("fault", None), given.pop("path", faults.TOKEN_PATH)
        if name not in _FAULTS or not isinstance(path, str):
            raise ValueError(f"fault is one of {', '.join(_FAULTS)}; path is text")
        if name == "Raw":
            given = {key: value.encode() if isinstance(value, str) else value for key, value in given.items()}
        fault = getattr(faults, name)
        self._emulator.break_transport(fault(**_fitting(fault, given)), times, path)
        return {}

    def _delete_faults(self, *_: Any) -> object:
        self._emulator.clear_faults()
        return {}

    def _history(self) -> dict[str, Any]:
        sf = self._emulator
        logins = [{"time": row.time, "grant_type": row.grant_type, "status": row.status} for row in sf.history]
        return {"requests": [_shown(each) for each in sf.requests], "logins": logins}


def _one_or_all(body: Any, one: Callable[[str], bool], all_of_them: Callable[[], int]) -> int:
    _refuse_unknown(dict(body).keys() - {"token"})
    return int(one(body["token"])) if "token" in body else all_of_them()


def _fitting(fault: Callable[..., object], given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a fault; a `ValueError` if it has no such argument, or one does not fit its annotation."""
    hints = get_type_hints(fault)
    _refuse_unknown(given.keys() - hints.keys())
    for name, hint in hints.items():
        if name in given and not _fits(given[name], hint):
            raise ValueError(f"{name}: {given[name]!r} does not fit")
    return given


def _refuse_unknown(names: Collection[str]) -> None:
    if names:
        raise ValueError(f"unknown: {', '.join(sorted(names))}")


def _fits(value: object, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in parts
    if origin is UnionType:
        return any(_fits(value, part) for part in parts)
    if isinstance(value, bool):
        return hint in (bool, object)
    return isinstance(value, int | float) if hint is float else isinstance(value, origin or hint)


def _change(record: Any, fields: Mapping[str, Any]) -> Any:
    """Set fields of a record, all or none of them."""
    known = _known(type(record), fields)
    before = {name: getattr(record, name) for name in known}
    try:
        for name, value in known.items():
            setattr(record, name, value)
    except Exception:
        for name, value in before.items():
            setattr(record, name, value)
        raise
    return record


def _known(kind: type[attrs.AttrsInstance], fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise TypeError("the body is a JSON object")
    names = {field.name for field in attrs.fields(kind) if field.init}
    for name in sorted(set(fields) - names):
        raise ValueError(f"{name} is not known; these are: {', '.join(sorted(names))}")
    return fields


def _shown(record: Any, *, secrets: bool = False) -> dict[str, Any]:
    hidden = _HIDDEN if secrets else _HIDDEN | _SECRETS
    fields = attrs.asdict(record, recurse=False)
    return {name: _plain(value) for name, value in fields.items() if name not in hidden}


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.isoformat("minutes") if isinstance(value, dt.time) else value
