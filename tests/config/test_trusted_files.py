"""Files found by searching: those that others own or can write are refused, and accepted if they are named."""

import logging
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.files import refuse_if_not_ours, warn_if_others_write
from kinetic_auth_core.resolution.inspection import inspect

Write = Callable[..., Path]

STRANGER = 54321  # a uid and gid that no account has

needs_root = pytest.mark.skipif(
    os.geteuid() != 0,
    reason="giving a file away needs root; without it, the tests of a file that says whose it is prove the same rule",
)

NAMES = ["kinetic-auth.toml", "pyproject.toml", ".env", "../home/.config/kinetic-auth/kinetic-auth.toml"]
BODY = {"pyproject.toml": "[tool.kinetic-auth]\n", ".env": "SF_API_VERSION=61\n"}


class OwnedBy(type(Path())):  # type: ignore[misc]  # the concrete class of this platform
    """A path whose `stat` names another owner."""

    uid: int
    gid: int

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        real = super().stat(follow_symlinks=follow_symlinks)
        return os.stat_result((*real[:4], self.uid, self.gid, *real[6:]))


def owned(path: Path, uid: int, gid: int) -> OwnedBy:
    lying = OwnedBy(path)
    lying.uid, lying.gid = uid, gid
    return lying


def test_a_file_whose_state_names_another_owner_is_refused(write: Write) -> None:
    path = write("")
    with pytest.raises(kinetic.ConfigurationError) as caught:
        refuse_if_not_ours(path, owned(path, STRANGER, os.getgid()).stat(), 'config="x"')
    assert str(caught.value) == (
        f"{path} was found by searching, but it belongs to another user (uid {STRANGER}), so it is not used. "
        'Remedy: Make it yours (chown, chmod go-w), or name it explicitly: config="x".'
    )


def test_a_file_of_root_or_of_the_user_is_trusted(write: Write) -> None:
    path = write("")
    for uid in (0, os.getuid()):
        refuse_if_not_ours(path, owned(path, uid, STRANGER).stat(), "")


def test_a_file_that_a_group_of_others_can_write_is_refused(write: Write) -> None:
    path = write("")
    path.chmod(0o660)
    with pytest.raises(kinetic.ConfigurationError, match=rf"but its group \(gid {STRANGER}\) can write it"):
        refuse_if_not_ours(path, owned(path, os.getuid(), STRANGER).stat(), "")


def test_a_file_that_the_users_private_group_can_write_is_trusted(write: Write) -> None:
    grp, pwd = pytest.importorskip("grp"), pytest.importorskip("pwd")
    user = pwd.getpwuid(os.getuid())
    group = grp.getgrgid(user.pw_gid)
    path = write("")
    path.chmod(0o660)
    ours = owned(path, os.getuid(), group.gr_gid).stat()
    if group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}:
        refuse_if_not_ours(path, ours, "")
    else:
        with pytest.raises(kinetic.ConfigurationError, match="its group"):
            refuse_if_not_ours(path, ours, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_found_file_that_everybody_can_write_is_refused(write: Write, login: dict[str, str], name: str) -> None:
    path = write(BODY.get(name, ""), name)
    path.chmod(0o666)
    with pytest.raises(
        kinetic.ConfigurationError, match="was found by searching, but every user can write it"
    ) as caught:
        kinetic.resolve("password", **login)
    argument = "env_file" if name == ".env" else "config"
    assert f'name it explicitly: {argument}="/' in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_file_is_accepted_when_it_is_named(write: Write, login: dict[str, str], name: str) -> None:
    path = write(BODY.get(name, ""), name)
    path.chmod(0o666)
    moved = path.rename(
        path.with_name(".env" if name == ".env" else "pyproject.toml" if "py" in name else "named.toml")
    )
    if name == ".env":
        assert kinetic.resolve("password", env_file=moved, **login).provider == "password"
    else:
        assert kinetic.resolve("password", config=moved, **login).provider == "password"


def test_a_file_named_by_the_variable_is_trusted(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("").chmod(0o666)
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", "kinetic-auth.toml")
    assert kinetic.resolve("password", **login).provider == "password"


def named(path: Path) -> dict[str, Path]:
    return {"env_file" if path.name == ".env" else "config": path}


@pytest.mark.parametrize("name", ["kinetic-auth.toml", "pyproject.toml", ".env"])
def test_a_named_file_that_everybody_can_write_costs_a_warning(
    write: Write, login: dict[str, str], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(BODY.get(name, ""), f"elsewhere/{name}")
    path.chmod(0o666)
    kinetic.resolve("password", **login, **named(path))  # type: ignore[arg-type]  # by keyword
    [(_, level, text)] = caplog.record_tuples
    assert level == logging.WARNING
    assert text == (
        f"{path} (from {next(iter(named(path)))}) decides where credentials are sent, and every user can write it. "
        f"Run: chmod go-w {path}"
    )


@pytest.mark.parametrize("name", ["kinetic-auth.toml", ".env"])
def test_a_named_file_that_only_its_owner_can_write_costs_none(
    write: Write, login: dict[str, str], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("", f"elsewhere/{name}")
    path.chmod(0o644)
    kinetic.resolve("password", **login, **named(path))  # type: ignore[arg-type]  # by keyword
    assert not caplog.records


def test_a_file_named_by_the_variable_is_warned_about_as_well(
    write: Write, login: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("")
    path.chmod(0o666)
    monkeypatch.setenv("KINETIC_AUTH_CONFIG", str(path))
    kinetic.resolve("password", **login)
    assert f"{path} (from KINETIC_AUTH_CONFIG) decides where credentials are sent" in caplog.text


def test_a_named_file_that_another_group_can_write_is_warned_about(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("")
    path.chmod(0o620)
    warn_if_others_write(owned(path, os.getuid(), STRANGER), "config")
    assert f"and its group (gid {STRANGER}) can write it." in caplog.text


def test_a_link_is_checked_by_the_file_that_it_leads_to(write: Write, login: dict[str, str]) -> None:
    target = write("", "elsewhere.toml")
    target.chmod(0o666)
    Path("kinetic-auth.toml").symlink_to(target)
    with pytest.raises(kinetic.ConfigurationError, match="every user can write it"):
        kinetic.resolve("password", **login)


@needs_root
@pytest.mark.parametrize("name", NAMES)
def test_a_found_file_of_another_user_is_refused_and_accepted_when_named(
    write: Write, login: dict[str, str], name: str
) -> None:
    path = write(BODY.get(name, ""), name)
    os.chown(path, STRANGER, STRANGER)
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve("password", **login)
    assert f"belongs to another user (uid {STRANGER})" in str(caught.value)
    assert kinetic.resolve("password", **login, **named(path)).provider == "password"  # type: ignore[arg-type]  # by keyword


@needs_root
def test_a_found_file_that_another_group_can_write_is_refused(write: Write, login: dict[str, str]) -> None:
    path = write("")
    os.chown(path, -1, STRANGER)
    path.chmod(0o620)
    with pytest.raises(kinetic.ConfigurationError, match=rf"its group \(gid {STRANGER}\) can write it"):
        kinetic.resolve("password", **login)


@needs_root
def test_an_inaccessible_parent_does_not_stop_the_search(tmp_path: Path) -> None:
    """As for a service that was started in a folder below another user's private home."""
    inside = tmp_path / "private" / "work"
    inside.mkdir(parents=True)
    inside.chmod(0o755)
    inside.parent.chmod(0o700)
    script = (
        "import os, sys\n"
        "from kinetic_auth_core.config.files import load_config\n"
        "from kinetic_auth_core.config.environment import Variables\n"
        "os.chdir(sys.argv[1])\n"
        f"os.setgroups([]), os.setgid({STRANGER}), os.setuid({STRANGER})\n"
        "variables = Variables.load()\n"
        "print(len(variables.layers), load_config(None, variables).path)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, inside],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},  # without the variables that start coverage: it could not write its file
    )
    assert done.stderr == ""
    assert done.stdout == "1 None\n"


@pytest.mark.parametrize("name", ["kinetic-auth.toml", ".env"])
def test_a_link_that_is_changed_after_the_check_still_reads_the_checked_file(
    write: Write, tmp_path: Path, name: str
) -> None:
    line = 'defaults.api_version = "%s"\n' if name.endswith("toml") else "SF_API_VERSION=%s\n"
    ours, planted = write(line % "61", "ours"), write(line % "99", "planted")
    planted.chmod(0o666)
    link = ours.with_name(name)
    link.symlink_to(ours)

    def turn(frame: types.FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is refuse_if_not_ours.__code__:
            (tmp_path / "turned").symlink_to(planted)
            (tmp_path / "turned").replace(link)

    sys.setprofile(turn)
    try:
        found = inspect("jwt-bearer")
    finally:
        sys.setprofile(None)
    assert link.resolve() == planted
    assert {row.name: row.value for row in found.rows}["api_version"] in ("61", "v61.0")
