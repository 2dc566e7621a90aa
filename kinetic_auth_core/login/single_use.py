"""Who may present a secret that can be used once, such as a refresh token that rotates.

A login marks the secret in the store by compare-and-swap before it sends it; who wins that may send. What the answer
says decides what becomes of the mark; the states of a token, and what each crash leaves, are in
docs/adr/0023-a-token-is-presented-once.md.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import attrs

from kinetic_auth_core.concurrency import (
    current_runner,
    is_current_runner,
    is_interruption,
    is_program_ending,
    pause_runner,
    raise_interruption,
    repeated,
    reset_after_fork,
)
from kinetic_auth_core.errors import (
    AuthenticationError,
    ConfigurationError,
    CredentialsRejectedError,
    TransientAuthenticationError,
)
from kinetic_auth_core.login.identity import seed_of
from kinetic_auth_core.login.spec import LoginSpec
from kinetic_auth_core.login.state import (
    Lost,
    Mark,
    Record,
    StateEntry,
    StateWriter,
    lost_by,
    memory_of_states,
    state_name,
    store_unavailable,
)
from kinetic_auth_core.oauth.error_codes import is_the_end, token_was_not_used
from kinetic_auth_core.redaction import redact_error
from kinetic_auth_core.registry.hookspecs import checked_state
from kinetic_auth_core.settings.schema import secret_texts
from kinetic_auth_core.stores.base import MemoryStore, naming_key_of
from kinetic_auth_core.stores.session_cache import SessionCache

logger = logging.getLogger(__name__)

#: A mark that is further ahead than its length and this was made by a clock that is ahead of ours.
_SKEW_S = 5.0


class LostGrantError(CredentialsRejectedError):
    """A login that was not tried, as its token cannot be used any more."""


class TokenHeldError(TransientAuthenticationError):
    """A login that was not tried, as another one presents its token, or had no answer."""


@attrs.define(eq=False, repr=False, match_args=False)
class MarkedState:
    """The state of a provider as one login sees it, which has the mark: a `ProviderState`.

    Attributes:
        record: The record with the mark.
        before: The record that was marked.
        login: The id of the login.
        was_read: Whether the provider has asked for the secret.
        was_accepted: Whether there was a good answer, and the provider has kept what it wants of it.
        is_abandoned: Whether the login was interrupted while the exchange goes on.
        new: The record that has replaced the marked one; None: nothing has.
        presents_a_secret: Whether there is one; otherwise a person has to consent.
    """

    _writer: StateWriter
    record: Record
    before: Record
    login: str
    _note_first: Callable[[], None]
    was_read: bool = False
    was_accepted: bool = False
    is_abandoned: bool = False
    new: Record | None = None
    presents_a_secret: bool = True

    def get(self) -> str | None:
        """The secret; None if nothing has replaced the configured one."""
        self.was_read = True
        return self.record.value if self.new is None else self.new.value

    def replace(self, value: str) -> None:
        """Keep another one from now on; a newer one is not overwritten."""
        if self.new is not None and self.new.value == value:
            return
        new = Record(checked_state(value))
        self._note_first()
        self.new = new
        self._writer.write(self.new, self.login)

    def note_accepted(self) -> None:
        """Note that there was a good answer: a secret that it did not replace can be used again."""
        self.was_accepted = True
        if self.is_abandoned:
            self.free()

    def free(self) -> None:
        """Take the mark off a secret that a good answer has not replaced."""
        if self.new is None:
            self._writer.write(Record(self.record.value), self.login)


class SingleUse:
    """One secret that can be presented once, as one source uses it.

    Args:
        entry: Where its record is.
        label: What messages call the login.
        deadline_s: How long a login takes at most, in seconds.
        lease_s: How long the lease of a session lasts.
        has_seed: Whether there is a configured secret to begin with; otherwise a person's consent is the beginning.
        details: `provider`, `host` and `username`, for errors.

    Attributes:
        retry_after_s: How long a source waits after a login without an answer before the one retry.
    """

    poll_s: ClassVar[tuple[float, float]] = (0.02, 0.5)
    retry_after_s: ClassVar[float] = 2.0

    def __init__(
        self,
        entry: StateEntry,
        label: str,
        deadline_s: float,
        lease_s: float,
        *,
        has_seed: bool,
        details: dict[str, Any],
    ) -> None:
        self._entry = entry
        self._label = label
        self._has_seed = has_seed
        self._details = details
        self._lease_s = lease_s
        self._patience_s = 2 * deadline_s + lease_s
        self._writer = StateWriter(entry, label)
        self._unanswered: tuple[str, float] | None = None  # a login of this source without an answer, and its end
        # a login of this source whose mark could not be taken off, and which sent nothing
        self._unsent: str | None = None
        self._first_seen: dict[str, float] = {}  # logins whose marks are by a clock that is ahead of ours
        self._holders: dict[str, tuple[int, object]] = {}  # who runs the logins of this process
        self._has_warned = False
        reset_after_fork(self)

    def has_to_wait(self, *, has_live: bool) -> bool:
        """Whether a login would have to wait: another one presents the secret now, or its outcome is unknown.

        Args:
            has_live: Whether there is a live session, which goes before the retry of one whose outcome is unknown.
        """
        record = self._entry.read()
        if self._is_held(record):
            return True
        is_unknown = record.mark is not None and record.lost is None and record.mark.login != self._unsent
        return has_live and is_unknown and not self._begins_with_consent(record)

    def _is_held(self, record: Record) -> bool:
        mark, now = record.mark, time.time()
        if mark is None or mark.login == self._unsent or (self._unanswered and self._unanswered[0] == mark.login):
            return False
        if mark.until - now < self._patience_s + _SKEW_S:
            return now < mark.until
        seen_at = self._first_seen.setdefault(mark.login, time.monotonic())
        return time.monotonic() - seen_at < self._patience_s

    def mark(self, has_live: Callable[[], bool], *, wait_s: float | None = None) -> MarkedState:
        """Get the right to present the secret. While another login has it, wait.

        Args:
            has_live: Whether there is a live session, which goes before a retry.
            wait_s: How long to wait, in seconds; None: as long as others may have the right.

        Raises:
            StoreUnavailableError: The store failed, so nothing may be sent.
            LostGrantError: The secret cannot be used any more.
            TokenHeldError: Another login has it, or its last login had no answer.
        """
        login, pause_s, began = secrets.token_hex(16), self.poll_s[0], time.monotonic()
        while True:
            self._writer.flush()
            record = self._entry.read()
            if self._is_held(record):
                if record.mark is not None and is_current_runner(self._holders.get(record.mark.login)):
                    raise self._not_now("it was asked for from within a login with the same token")
                if wait_s is not None and time.monotonic() - began >= wait_s:
                    raise self._not_now("another login presents its token at the moment")
                pause_runner(pause_s)
                pause_s = min(pause_s * 2, self.poll_s[1])
                continue
            if is_program_ending():
                raise self._not_now("the program is ending")
            tries = self._next_try(record, has_live)
            lasts_s = self._lease_s if self._begins_with_consent(record) else self._patience_s
            after = Record(record.value, Mark(login, time.time() + lasts_s, tries))
            if (marked := self._entry.swap(record, after)) is not None:
                self._unsent = None
                self._holders[login] = current_runner()
                has_secret = not self._begins_with_consent(record)
                return MarkedState(
                    self._writer, marked, record, login, self._warn_of_memory, presents_a_secret=has_secret
                )

    def _after_fork(self) -> None:
        """In the child: a thread of its own may have the number of one of the parent's that is logging in."""
        self._holders = {}

    def _begins_with_consent(self, record: Record) -> bool:
        """Whether there is nothing to present, so that a person has to consent."""
        return not self._has_seed and record.value is None

    def _next_try(self, record: Record, has_live: Callable[[], bool]) -> int:
        """Which presentation of the secret comes next, 1 or 2.

        Raises:
            LostGrantError: There is none.
            TokenHeldError: Not now.
        """
        if record.lost is not None and self._has_seed:
            raise self._lost(record.lost)
        mark = record.mark
        if mark is None or record.lost is not None or self._begins_with_consent(record):
            return 1
        if mark.login == self._unsent:
            return mark.tries
        if mark.tries > 1:
            self._entry.swap(record, self._after_the_end(Lost()))
            raise self._lost(Lost())
        if has_live():
            raise self._not_now("its last login had no answer, and is repeated once the live session has ended")
        if self._unanswered is not None and self._unanswered[0] == mark.login:
            pause_runner(max(self._unanswered[1] + self.retry_after_s - time.monotonic(), 0))
        logger.warning("%s: its last login had no answer; its token is presented a second and last time", self._label)
        return 2

    @contextmanager
    def renewed(self, marked: MarkedState) -> Iterator[None]:
        """Renew a short mark while the login is at it, as a person is asked and may take minutes."""
        if not self._begins_with_consent(marked.record):
            yield
            return

        def renew() -> bool:
            mark = Mark(marked.login, time.time() + self._lease_s)
            try:
                renewed = self._entry.swap(marked.record, attrs.evolve(marked.record, mark=mark))
            except AuthenticationError as error:
                logger.warning("%s", error)
                return True
            if renewed is not None:
                marked.record = renewed
            return renewed is not None

        with repeated(renew, self._lease_s / 3):
            yield

    def settle(self, marked: MarkedState, error: BaseException | None, *, was_sent: bool) -> None:
        """Record what has become of the secret.

        Args:
            marked: What the login had.
            error: What it raised; None: it succeeded.
            was_sent: Whether a request may have left.
        """
        self._holders.pop(marked.login, None)
        if marked.new is not None:
            return
        if was_sent and error is not None and is_interruption(error):  # the exchange goes on without this thread
            marked.is_abandoned = True
            if marked.was_accepted:  # before it could know
                marked.free()
            return
        record = marked.record
        if error is None or marked.was_accepted:
            marked.free()
        elif is_the_end(error):
            self._write(marked, self._after_the_end(lost_by(error)))
        elif self._begins_with_consent(record):
            self._write(marked, Record())
        elif not was_sent or token_was_not_used(error):
            self._unsent = marked.login
            self._write(marked, _without_this_try(marked))
        elif record.mark is not None and record.mark.tries > 1:
            self._write(marked, self._after_the_end(lost_by(error)))
        else:
            self._unanswered = (marked.login, time.monotonic())

    def is_over(self, error: BaseException) -> bool:
        """Whether an error ended a grant that a person can renew at once."""
        return not self._has_seed and is_the_end(error)

    def _write(self, marked: MarkedState, record: Record) -> None:
        self._writer.write(record, marked.login)

    def _after_the_end(self, lost: Lost) -> Record:
        return Record(lost=lost) if self._has_seed else Record()

    def _warn_of_memory(self) -> None:
        if self._entry.is_memory and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s: its token has been replaced, and the new one is in the memory of this process alone: it is lost "
                "when the process ends. Name a store that keeps it, such as file.",
                self._label,
            )

    def _lost(self, lost: Lost) -> LostGrantError:
        answer = ": ".join(filter(None, (lost.error, lost.description)))
        why = f"it was refused ({answer})" if answer else "it was presented twice without an answer"
        return LostGrantError(
            f"{self._label} is not tried: its token cannot be used any more, as {why}.",
            remedy="Get a new refresh token by a login of the user, and configure that one.",
            error=lost.error or "invalid_grant",
            description=lost.description,
            **self._details,
        )

    def _not_now(self, why: str) -> TokenHeldError:
        return TokenHeldError(f"{self._label} is not tried now: {why}.", retryable=True, **self._details)


def _without_this_try(marked: MarkedState) -> Record:
    """The record as it was before a presentation that did not happen."""
    before = marked.before.mark
    tries = marked.record.mark.tries if marked.record.mark else 1
    if tries == 1 or before is None:
        return Record(marked.record.value)
    return Record(marked.record.value, before._replace(until=time.time()))


#: How long a login takes at most where its provider does not say, in seconds.
_DEADLINE_S = 60.0


class States:
    """The states of one source: one for each configured secret.

    Args:
        spec: What the source logs in with.
        cache: Has the store.
    """

    def __init__(self, spec: LoginSpec, cache: SessionCache) -> None:
        self._spec = spec
        self._cache = cache
        self._secrets: dict[str, SingleUse] = {}

    def single_use(self, instance: Any) -> SingleUse:
        """The secret of a provider that can present it once.

        Raises:
            StoreUnavailableError: The store failed.
            ConfigurationError: The store cannot keep it.
        """
        entry = self.entry(instance)
        spec = self._spec
        details = {"provider": spec.provider, "host": spec.host, "username": spec.displayed("username")}
        if (known := self._secrets.get(entry.name)) is not None:
            return known
        entry.warn_of_what_may_be_lost()
        made = SingleUse(
            entry,
            spec.label,
            spec.deadline_s or _DEADLINE_S,
            self._cache.lease_s,
            has_seed=bool(seed_of(type(instance), instance).secrets),
            details=details,
        )
        return self._secrets.setdefault(entry.name, made)

    def record(self, instance: Any) -> Record:
        """What the store has of a provider's secret at the moment.

        Raises:
            KineticAuthError: The store failed.
        """
        return self.entry(instance).read()

    def newest(self, instance: Any) -> str | None:
        """The secret that the next login would present; None if there is none, or it is not a token.

        Raises:
            StoreUnavailableError: The store failed.
        """
        record = self.entry(instance).read()
        if record.value is not None or record.lost is not None or not self._spec.is_single_use:
            return record.value
        seeds = [value for value in seed_of(type(instance), instance).secrets.values() if isinstance(value, str)]
        return seeds[0] if len(seeds) == 1 else None

    def file_in_clear(self, instance: Any) -> Path | None:
        """The file that holds the secret in clear; None: there is no such file.

        Raises:
            StoreUnavailableError: The store failed.
        """
        from kinetic_auth_core.stores.file import FileStore

        store = self._cache.opened_store()
        if not isinstance(store, FileStore) or self.entry(instance).read().value is None:
            return None
        return store.file_in_clear(self.entry(instance).name)

    def forget(self, instance: Any) -> bool:
        """Delete a state.

        Returns:
            Whether there was one.

        Raises:
            StoreUnavailableError: The store failed.
        """
        entry = self.entry(instance)
        self._secrets.pop(entry.name, None)
        return entry.delete()

    def entry(self, instance: Any) -> StateEntry:
        """Where the record of a provider's secret is.

        Raises:
            StoreUnavailableError: The store failed.
            ConfigurationError: The store cannot keep it.
        """
        label, store = self._spec.label, None
        try:
            store = self._cache.opened_store() or memory_of_states()
            naming_key = naming_key_of(store)
        except ConfigurationError as error:
            redact_error(error, secret_texts(store))
            raise
        except Exception as error:  # noqa: BLE001 - a plugin's class
            raise_interruption(error)
            raise store_unavailable(label, error, secret_texts(store)) from None
        name = state_name(type(instance), instance, self._spec.state_owner, naming_key)
        return StateEntry(store, name, label, is_memory=isinstance(store, MemoryStore), pid=self._spec.pid)
