"""What this library costs, beside others and beside what cannot be avoided: `make bench`.

    python benchmarks/compare.py [WORD ...]

Everything is measured in one run, in turns, on the loopback interface. Without arguments the table and the plot of
docs/performance.md are written; with words, the comparisons whose title has one of them are printed.
"""

import itertools
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from comparisons import calls, growth, sharing, starts
from comparisons.rounds import Comparison, Result, plot, run, table
from comparisons.servers import Org, redis

_DOCS = Path(__file__).parents[1] / "docs"


def _comparisons(folder: Path, *, has_counts: bool) -> Iterator[Comparison]:
    plain, encrypted = Org(), Org(tls=True)
    try:
        with redis() as url:
            yield from itertools.chain(
                starts.comparisons(encrypted, has_counts=has_counts),
                calls.comparisons(plain),
                sharing.comparisons(plain, folder, url),
                growth.comparisons(plain, folder),
            )
    finally:
        plain.close()
        encrypted.close()


def main(words: list[str]) -> None:
    """Measure, and print or write what was found."""
    logging.disable(logging.CRITICAL)
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        for comparison in _comparisons(Path(folder), has_counts=not words):
            if not words or any(word in comparison.title for word in words):
                began = time.monotonic()
                results.append(run(comparison))
                print(f"{time.monotonic() - began:6.1f} s  {comparison.title}", file=sys.stderr, flush=True)
    if words:
        print(table(results))
        return
    (_DOCS / "performance-table.md").write_text(table(results), encoding="utf-8")
    plot(results, _DOCS / "performance.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
