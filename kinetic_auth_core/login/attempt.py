"""One call of a provider's `authenticate`: a session that the deployment wants, or an error of ours."""

from typing import Any

from kinetic_auth_core.errors import AuthenticationError, KineticAuthError, SessionRejectedError
from kinetic_auth_core.login.instances import Made
from kinetic_auth_core.login.spec import Plan
from kinetic_auth_core.redaction import clean_chain, mask, safe_cause, told
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.settings.schema import secret_texts


def attempt(plan: Plan, made: Made) -> SalesforceSession:
    """Log in with one instance, inside the observers' wrappers.

    Args:
        plan: What it was made by.
        made: The instance with its hooks.

    Raises:
        SessionRejectedError: A guard refuses the session.
        AuthenticationError: The plugin raised something else, or gave no session; or what it raised itself.
    """
    cause: BaseException | None = None
    try:
        session = made.hooks.authenticate()
        what = f"gave {type(session).__name__} instead of a SalesforceSession."
    except KineticAuthError as error:
        clean_chain(error, secret_texts(made.instance))
        raise
    except Exception as error:  # noqa: BLE001 - raised again below, if it holds no secret
        session, cause = None, safe_cause(error, secret_texts(made.instance))
        what = f"raised {told(cause)}"
    if isinstance(session, SalesforceSession):
        if (problem := _unfit(session)) is None:
            _check(plan, session, made.instance)
            return session
        what = f"gave a session that is none: {problem}."
    del session  # a token, perhaps: not among the locals of a traceback
    called = f"{plan.provider!r} ({plan.distribution})" if plan.distribution else repr(plan.provider)
    around = f", or an observer around it ({', '.join(made.hooks.wrappers)})," if made.hooks.wrappers else ""
    raise AuthenticationError(
        f"the plugin {called}{around} {what}", remedy="Ask its authors.", provider=plan.provider
    ) from cause


def _unfit(session: SalesforceSession) -> str | None:
    """Why nobody could use a session: a plugin may put anything into one."""
    texts: list[object] = [session.access_token, session.instance_url]
    if not all(isinstance(text, str) for text in texts):
        return "its access_token or its instance_url is not text"
    return None if session.access_token else "it has no access_token"


def _check(plan: Plan, session: SalesforceSession, instance: Any) -> None:
    """See that a session is one that the deployment wants.

    Raises:
        SessionRejectedError: A guard refuses it.
    """
    if refusal := plan.guards.refusal(session):
        raise SessionRejectedError(
            mask(f"{plan.called} succeeded, and its session is refused: {refusal.what}", secret_texts(instance)),
            remedy=refusal.remedy,
            provider=plan.provider,
            host=plan.host,
            username=session.username or plan.shown("username"),
        )
