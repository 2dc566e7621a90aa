"""The doctor's examination: its state, and the stages that it goes through."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import attrs

from kinetic_auth_core.cli.doctor.report import Report
from kinetic_auth_core.cli.options import Choice
from kinetic_auth_core.concurrency import raise_interruption
from kinetic_auth_core.config.environment import Configuration
from kinetic_auth_core.config.merge import Layer
from kinetic_auth_core.errors import KineticAuthError, TransportError
from kinetic_auth_core.login.grant import GrantAuthenticator
from kinetic_auth_core.login.spec import LoginSpec
from kinetic_auth_core.resolution.inspection import Resolution
from kinetic_auth_core.session import SalesforceSession
from kinetic_auth_core.sessions.source import SessionSource
from kinetic_auth_core.transport.client import TokenResponse, Transport
from kinetic_auth_core.transport.connections import Transports

logger = logging.getLogger(__name__)


@attrs.define
class Examination:
    """What is examined, and what is known of it so far.

    Attributes:
        choice: Provider, environment and files as they were named.
        settings: Settings of the command line.
        logs_in: Whether one login may be made.
        report: Takes the checks.
        configuration: The files and variables, once they are read.
        found: What the configuration comes to.
        instances: The provider's instance for each set of credentials, once their secrets are loaded.
        warnings: What was logged while the configuration was inspected.
        source: The source, once the configuration is right.
        transports: The connections of the checks.
        answer: What the login host answered, or why it did not; None: it was not asked.
        session: The session of the login.
    """

    choice: Choice
    settings: Layer
    logs_in: bool
    report: Report = attrs.field(factory=Report)
    configuration: Configuration = attrs.field(factory=Configuration)
    found: Resolution = attrs.field(factory=lambda: Resolution(Configuration()))
    instances: list[Any] = attrs.field(factory=list, repr=False)
    warnings: list[str] = attrs.field(factory=list)
    source: SessionSource | None = None
    transports: Transports = attrs.field(factory=Transports)
    answer: TokenResponse | TransportError | None = None
    session: SalesforceSession | None = attrs.field(default=None, repr=False)

    def connection(self) -> Transport:
        """The transport that a login has, as far as the provider's instance could be made."""
        instance = self.instances[0] if self.instances else None
        if isinstance(instance, GrantAuthenticator):
            instance.share(self.transports)
            return instance.connection()
        return self.transports.without_grant(instance)

    @property
    def host_setting(self) -> str | None:
        """The setting that names the host: `login_url` or `instance_url`; None if the provider has neither."""
        return next((name for name in ("login_url", "instance_url") if self.spec.displayed(name)), None)

    def close(self) -> None:
        """Close connections."""
        self.transports.close()
        if self.source is not None:
            self.source.close()

    @property
    def spec(self) -> LoginSpec:
        """What a login would be made with; there is one once the settings are right."""
        assert self.found.spec is not None  # noqa: S101 - the stages that use it need the settings
        return self.found.spec


@attrs.frozen
class Stage:
    """Some checks that are made together.

    Attributes:
        names: Their names; all of them are skipped where one of `needs` has failed.
        run: Makes them.
        needs: The checks without which these say nothing.
    """

    names: tuple[str, ...]
    run: Callable[[Examination], None]
    needs: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What is reported where it raises: its first check; of one that may make none, what it is about."""
        return self.names[0] if self.names else self.run.__name__.removeprefix("check_").replace("_", " ")


def examine(examination: Examination, stages: tuple[Stage, ...]) -> None:
    """Go through the stages, and skip those that a failure makes moot."""
    report = examination.report
    moot: set[str] = set()
    for stage in stages:
        cause = next((name for name in stage.needs if name in moot), None)
        if cause is not None:
            for name in stage.names:
                report.moot(name, cause)
            moot.update(stage.names)
            continue
        before = len(report.checks)
        try:
            stage.run(examination)
        except KineticAuthError as error:
            report.failed(stage.label, error)
        except Exception as error:  # noqa: BLE001 - what a plugin raises must not hide the other checks
            raise_interruption(error)
            frames = "".join(traceback.format_tb(error.__traceback__))  # not its text, which may quote a secret
            logger.debug("%s could not be checked: %s\n%s", stage.label, type(error).__name__, frames)
            report.unexpected(stage.label, error)
        moot.update(
            check.name
            for check in report.checks[before:]
            if check.status in ("skipped", "failure") and check.makes_moot and not check.is_suspicion
        )
