"""What grows: lines of a `.env`, installed providers, tenants."""

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from comparisons.rounds import Comparison, Contestant, process_ms
from comparisons.servers import Org

_ENV = """
import sys
import kinetic_auth_core as kinetic
_, login_url, path = sys.argv
login = {"client_id": "id", "username": "u", "login_url": login_url, "private_key_path": "key"}
kinetic.resolve("jwt-bearer", env_file=path, **login)
"""
_RESOLVE = """
import sys
_, login_url, folder, times = sys.argv
sys.path.insert(0, folder)
import kinetic_auth_core as kinetic
login = {"client_id": "id", "username": "u", "login_url": login_url, "private_key_path": "key"}
for _ in range(1 + int(times)):
    kinetic.resolve("jwt-bearer", **login)
"""
_TENANTS = """
import resource, sys
import kinetic_auth_core as kinetic
_, client_id, username, login_url, path, how, count, logins = sys.argv
login = {"client_id": client_id, "username": username, "login_url": login_url, "private_key_path": path}

def settings():
    return {name: value.encode().decode() for name, value in login.items()}  # each tenant has text of its own

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return (usage.ru_utime + usage.ru_stime) * 1e3, kib

if how == "SourcePool":
    pool = kinetic.SourcePool(tenants=lambda key: {"provider": "jwt-bearer", **settings()}, size=int(count) + 1)
    make = pool.source
else:
    make = lambda key: kinetic.resolve("jwt-bearer", **settings())
make("warm").session()
before = used()
sources = [make(str(number)) for number in range(int(count))]
made = used()
for source in sources[:int(logins)]:
    source.session()
after = used()
print((made[0] - before[0]) / int(count), (made[1] - before[1]) / int(count), (after[0] - made[0]) / int(logins))
"""


def comparisons(org: Org, folder: Path) -> Iterator[Comparison]:
    """Comparisons of growth.

    Args:
        org: Speaks plain http.
        folder: For `.env` files and packages.
    """
    login_url = org.settings["login_url"]
    files = {count: folder / f"{count}.env" for count in (1, 5_000, 10_000)}
    for count, path in files.items():
        path.write_text("".join(f"VARIABLE_{number}=value-{number}\n" for number in range(count)), encoding="utf-8")
    yield Comparison(
        "a process that resolves with a .env",
        "ms",
        [
            Contestant(f"kinetic-auth: {count:,} lines", functools.partial(process_ms, _ENV, login_url, str(path)))
            for count, path in files.items()
        ],
        rounds=5,
        note="CPU time of the process.",
    )
    packages = {count: _packages(folder / f"{count}-packages", count) for count in (1, 300)}
    yield Comparison(
        "a second resolve with many providers installed",
        "ms",
        [
            Contestant(
                f"kinetic-auth: {count} more provider{'s' * (count > 1)}",
                functools.partial(_second_resolve, login_url, packages[count]),
            )
            for count in packages
        ],
        rounds=5,
        note="CPU time.",
    )

    found = {how: _tenants(org, how, folder) for how in ("SourcePool", "resolve")}
    for number, (title, unit) in enumerate(
        (
            ("each of 10,000 tenants before its first login, CPU time", "ms"),
            ("each of 10,000 tenants before its first login, memory", "KiB"),
            ("first login of a tenant, CPU time", "ms"),
        )
    ):
        contestants = [
            Contestant(f"kinetic-auth: {how}", functools.partial(float, found[how][number])) for how in found
        ]
        yield Comparison(title, unit, contestants, rounds=1)


def _tenants(org: Org, how: str, folder: Path, count: int = 10_000, logins: int = 500) -> tuple[float, ...]:
    command = [sys.executable, "-c", _TENANTS, *org.settings.values(), how, str(count), str(logins)]
    # In a folder without a pyproject.toml, which each `resolve` would read.
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=folder)
    return tuple(map(float, done.stdout.split()))


def _packages(folder: Path, count: int) -> Path:
    for number in range(count):
        info = folder / f"acme_sso_{number}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-sso-{number}\nVersion: 1.0\n", "utf-8")
        points = f"[kinetic_auth.authenticators]\nacme-sso-{number} = acme_sso:Sso\n"
        (info / "entry_points.txt").write_text(points, "utf-8")
    return folder


def _second_resolve(login_url: str, folder: Path, times: int = 200) -> float:
    once, often = (process_ms(_RESOLVE, login_url, str(folder), str(more)) for more in (0, times))
    return (often - once) / times
