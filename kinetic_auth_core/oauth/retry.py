"""Retries of a login: after transient errors, with random pauses, within the deadline.

tenacity runs the tries. The errors say whether they are transient (`retryable`); one try is made by `login.grant`.
"""

import logging
from collections.abc import Callable
from typing import ClassVar, NoReturn, TypeVar, cast

import tenacity
from tenacity.stop import stop_base

from kinetic_auth_core.errors import AuthenticationError, TransportError
from kinetic_auth_core.events import current_tally
from kinetic_auth_core.transport.deadline import remaining_s

MAX_TRIES = 4
#: The longest that the first pause can be, and by how much each next one can be longer: 0.2 s, 0.6 s, 1.8 s. The
#: pauses are random ("full jitter"), so that clients which failed together do not retry together.
FIRST_PAUSE_S, GROWTH = 0.2, 3

logger = logging.getLogger(__name__)

T = TypeVar("T")


class _StopAtDeadline(stop_base):
    """Makes no further try if the pause before it lasts until the deadline."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return retry_state.upcoming_sleep >= remaining_s()


class Tries:
    """The tries of one login, within the `Deadline` of its thread.

    Args:
        deadline_s: The seconds of that deadline, for messages.
        is_cured: Whether a refusal is cured by another try at once; asked of those that do not pass by themselves.
        may_repeat_unanswered: Whether a request that may have arrived is sent again. Not one with a password: each
            counts as a failed login if it is wrong (docs/adr/0013-what-is-tried-again.md).

    Attributes:
        first_pause_s: The longest that the first pause can be.
    """

    first_pause_s: ClassVar[float] = FIRST_PAUSE_S

    def __init__(
        self, deadline_s: float, is_cured: Callable[[AuthenticationError], bool], *, may_repeat_unanswered: bool
    ) -> None:
        self._deadline_s = deadline_s
        self._is_cured = is_cured
        self._may_repeat_unanswered = may_repeat_unanswered
        self._jitter = tenacity.wait_random_exponential(multiplier=self.first_pause_s, exp_base=GROWTH)

    def run(self, attempt: Callable[[], T]) -> T:
        """Make the login.

        Args:
            attempt: One try.

        Returns:
            The result of the first try that did not fail.

        Raises:
            AuthenticationError: That of the last try. It has the number of tries in `attempts` and the pauses between
                them in `waited_s`.
            KineticAuthError: Whatever else a try raised, at once.
        """
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception(self._is_worth_another),
            wait=self._pause_s,
            stop=tenacity.stop_after_attempt(MAX_TRIES) | _StopAtDeadline(),
            before_sleep=self._note,
            retry_error_callback=self._give_up,
        )
        try:
            return tries(attempt)
        except AuthenticationError as error:
            error.attempts = int(tries.statistics["attempt_number"])
            error.waited_s = float(tries.statistics["idle_for"])
            raise

    def _is_worth_another(self, error: BaseException) -> bool:
        if not isinstance(error, AuthenticationError):
            return False
        if isinstance(error, TransportError) and error.unanswered and not self._may_repeat_unanswered:
            return False
        return error.retryable or self._is_cured(error)

    def _pause_s(self, state: tenacity.RetryCallState) -> float:
        error = _error_of(state)
        return (error.retry_after_s or 0.0) + self._jitter(state) if error.retryable else 0.0

    @staticmethod
    def _note(state: tenacity.RetryCallState) -> None:
        pause_s = state.upcoming_sleep
        current_tally().waited_s += pause_s
        message = _error_of(state).message
        logger.info("%s Trying again in %.1f s, %d of %d.", message, pause_s, state.attempt_number + 1, MAX_TRIES)

    def _give_up(self, state: tenacity.RetryCallState) -> NoReturn:
        """Raise the last error, which then says why there is no further try."""
        error, count = _error_of(state), state.attempt_number
        tries = f"{count} tries within {state.seconds_since_start:.1f} s" if count > 1 else "1 try"
        why = ""
        if count < MAX_TRIES and error.retry_after_s:
            why = f": the server asks to wait {error.retry_after_s:.0f} s, and the deadline is {self._deadline_s:g} s"
        elif 1 < count < MAX_TRIES:
            why = f": the deadline of {self._deadline_s:g} s leaves no time for another"
        if count > 1 or why:
            error.message = f"{error.message} Given up after {tries}{why}."
            error.args = (error.message,)
        raise error


def _error_of(state: tenacity.RetryCallState) -> AuthenticationError:
    """What the try that has just failed raised."""
    return cast("AuthenticationError", state.outcome.exception() if state.outcome else None)
