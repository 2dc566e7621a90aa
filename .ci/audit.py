"""Known vulnerabilities of what is installed here, by pip-audit: fails for a finding, and says what could not be asked.

A machine without the advisories' service passes, as it can know nothing; the last line then says so.
"""

import json
import subprocess
import sys

_UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError", "Max retries exceeded")


def main() -> None:
    """Ask, and judge the answer."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--format=json", "--progress-spinner=off", "--timeout=10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a fixed command
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if any(name in done.stderr for name in _UNREACHABLE):
            print("audit: the advisories' service cannot be reached; nothing was audited")  # noqa: T201 - its output
            return
        sys.exit(done.stderr)
    asked = [each for each in packages if "skip_reason" not in each]
    found = [f"{each['name']} {each['version']}: {one['id']}" for each in asked for one in each["vulns"]]
    if found:
        sys.exit("\n".join(found))
    print(f"audit: no finding; {len(asked)} packages audited, {len(packages) - len(asked)} not known there")  # noqa: T201 - its output


if __name__ == "__main__":
    main()
