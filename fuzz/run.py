"""Fuzz all targets, one after the other, and report the results: `python fuzz/run.py SECONDS [TARGET ...]`.

Inputs that break something are files in `.fuzz/findings`; the corpus in `.fuzz/corpus` grows with each run.
"""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
KEPT = FOLDER.parent / ".fuzz"
_MOST_BYTES = 8192
_LONGEST_S = 20  # for one input
_MOST_MEGABYTES = 2048


def targets() -> dict[str, Path]:
    """All targets by name: those of the core, and those in the folder `fuzz` of a provider."""
    paths = [*(FOLDER / "targets").glob("*.py"), *FOLDER.parent.glob("providers/*/fuzz/*.py")]
    return {path.stem: path for path in sorted(paths)}


def fuzz(path: Path, seconds: int) -> tuple[str, str]:
    """Run one target.

    Returns:
        The counts, as a line; and the whole output if something broke.
    """
    name = path.stem
    findings = KEPT / "findings" / name
    findings.mkdir(parents=True, exist_ok=True)
    options = {
        "max_total_time": seconds,
        "max_len": _MOST_BYTES,
        "timeout": _LONGEST_S,
        "rss_limit_mb": _MOST_MEGABYTES,
        "print_final_stats": 1,
        "artifact_prefix": f"{findings}/",
    }
    done = subprocess.run(
        [sys.executable, FOLDER / "harness.py", path, KEPT / "corpus" / name]
        + [f"-{option}={value}" for option, value in options.items()],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    printed = done.stdout + done.stderr
    count = re.search(r"stat::number_of_executed_units:\s*(\d+)", printed)
    covered = re.findall(r"cov: (\d+)", printed)
    line = f"{name:14} {count[1] if count else '?':>9} executions, {covered[-1] if covered else '?'} branches"
    return line, "" if done.returncode == 0 else printed


def main() -> None:
    """Run the targets; exit with 1 if one found something."""
    seconds, *names = sys.argv[1:]
    names = names or list(targets())
    broken = []
    for name in names:
        line, printed = fuzz(targets()[name], max(1, int(seconds) // len(names)))
        print(line + ("  BROKEN" if printed else ""), flush=True)
        if printed:
            broken.append(name)
            print(printed[-4000:], file=sys.stderr)
    if broken:
        sys.exit(f"found something: {', '.join(broken)}; the inputs are in {KEPT / 'findings'}")


if __name__ == "__main__":
    main()
