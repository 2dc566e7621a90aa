"""Known vulnerabilities of what is installed here, by pip-audit: fails for a finding, and says what could not be asked.

A machine without the advisories' service passes, as it can know nothing; the last line then says so.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

#: Findings that are looked at and left, by any of their names, with the reason.
ACCEPTED: Mapping[str, str] = {
    "GHSA-wj6h-64fc-37mp": "ecdsa takes a time that tells of its key, and will not be mended; python-jose requires it "
    "and, with cryptography there, never loads it (shown by test_no_signature_is_made_by_ecdsa)",
}
_UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError", "Max retries exceeded")


def accepted(finding: Mapping[str, Any]) -> str | None:
    """Why a finding is left, or None.

    Args:
        finding: One of pip-audit's `vulns`.
    """
    return next((ACCEPTED[name] for name in (finding["id"], *finding.get("aliases", ())) if name in ACCEPTED), None)


def main() -> None:
    """Ask, and judge the answer."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--format=json", "--progress-spinner=off", "--timeout=10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        if any(name in done.stderr for name in _UNREACHABLE):
            print("audit: the advisories' service cannot be reached; nothing was audited")
            return
        sys.exit(done.stderr)
    asked = [each for each in packages if "skip_reason" not in each]
    if not asked:
        print(f"audit: the service knows none of {len(packages)} packages; nothing was audited")
        return
    found = []
    for package in asked:
        for finding in package["vulns"]:
            called, reason = f"{package['name']} {package['version']}: {finding['id']}", accepted(finding)
            if reason:
                print(f"audit: left: {called}: {reason}")
            else:
                found.append(called)
    if found:
        sys.exit("\n".join(found))
    print(f"audit: no finding; {len(asked)} packages audited, {len(packages) - len(asked)} not known there")


if __name__ == "__main__":
    main()
