"""The boundary that strips frames: whatever is raised inside leaves as it is, without the frames and their locals."""

import dataclasses
import logging
import traceback

import pytest

from kinetic_auth_core.redaction import secret_boundary

SECRET = "canary-in-a-frame"


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):  # noqa: N818 - its name says what it is
    """An exception that forbids setting attributes."""

    what: str = ""


class Overridden(Exception):  # noqa: N818 - as above
    """An exception with properties in the place of what Python keeps there."""

    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]
        raise RuntimeError("no cause for you")

    @property
    def __traceback__(self) -> None:  # type: ignore[override]
        return None


def fail(error: BaseException, cause: BaseException | None = None) -> None:
    password = SECRET
    try:
        if cause is not None:
            raise cause
    except BaseException:  # noqa: BLE001 - any
        raise error from cause
    assert password
    raise error


def frames_of(error: BaseException | None) -> list[str]:
    """The functions in the tracebacks of an error and its causes."""
    found: list[str] = []
    while error is not None:
        found += [
            frame.f_code.co_name
            for frame, _ in traceback.walk_tb(BaseException.__dict__["__traceback__"].__get__(error))
        ]
        error = BaseException.__dict__["__cause__"].__get__(error)
    return found


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("plain"), None),
        (Frozen("frozen"), None),
        (ValueError("plain"), Frozen("frozen")),
        (Frozen("frozen"), ValueError("plain")),
        (Overridden(), None),
        (KeyboardInterrupt(), ValueError("plain")),
        (ExceptionGroup("group", [Frozen("inside")]), None),
    ],
    ids=repr,
)
def test_any_exception_leaves_as_it_is_without_frames(error: BaseException, cause: BaseException | None) -> None:
    with pytest.raises(type(error)) as caught:
        secret_boundary(fail)(error, cause)
    assert caught.value is error
    assert "fail" not in frames_of(error)


def test_the_log_at_debug_level_names_the_places_of_the_error_and_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(ValueError, match="ours"):
        secret_boundary(fail)(ValueError("ours"), KeyError("the bug"))
    logged = [record.getMessage() for record in caplog.records]
    assert [line.partition(" was raised at")[0] for line in logged] == ["ValueError", "KeyError"]
    assert all("tests/test_redaction.py:" in line and line.endswith(" fail") for line in logged)
    assert SECRET not in caplog.text


def test_the_exception_that_the_caller_handles_keeps_its_frames() -> None:
    handled = None
    try:
        fail(ValueError("the caller's"))
    except ValueError as error:
        handled = error
        with pytest.raises(KeyError):
            secret_boundary(fail)(KeyError("inside"))
    assert "fail" in frames_of(handled)
