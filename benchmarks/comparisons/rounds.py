"""Measures contestants in turns, and writes what was measured as a table and a plot.

In each round every contestant has one turn, in random order, so that whatever the machine does meanwhile strikes all of
them alike, and none finds the processor's caches always filled by the same other one.
"""

import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import attrs

Measure = Callable[[], float]


@attrs.frozen
class Contestant:
    """One of those that do the same work.

    Attributes:
        name: Its name in the table.
        measure: Does the work once and returns what it took, in the unit of the comparison.
    """

    name: str
    measure: Measure


@attrs.frozen
class Comparison:
    """Contestants that do the same work.

    Attributes:
        title: The work.
        unit: Of what is measured.
        contestants: The first one is what the others are compared with: a floor, or a peer.
        rounds: How often each has its turn.
        note: What a reader has to know.
    """

    title: str
    unit: str
    contestants: Sequence[Contestant]
    rounds: int = 11
    note: str = ""


@attrs.frozen
class Result:
    """What a comparison has found: for each contestant, all that was measured."""

    comparison: Comparison
    found: dict[str, list[float]]

    def median(self, name: str) -> float:
        """The median of a contestant."""
        return statistics.median(self.found[name])


def run(comparison: Comparison) -> Result:
    """Measure all contestants in turns, after one turn each that does not count."""
    contestants = list(comparison.contestants)
    for each in contestants:
        each.measure()
    found: dict[str, list[float]] = {each.name: [] for each in contestants}
    order = random.Random(0)  # noqa: S311 - no secret
    for _ in range(comparison.rounds):
        for each in order.sample(contestants, len(contestants)):
            found[each.name].append(each.measure())
    return Result(comparison, found)


def process_ms(code: str, *arguments: str) -> float:
    """CPU time of a Python process that runs some code, in milliseconds: user and system."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment, timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def instructions(code: str, *arguments: str) -> float | None:
    """Count the instructions of a Python process by valgrind, in millions; None if valgrind is not installed."""
    if shutil.which("valgrind") is None:
        return None
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    counted = re.search(r"refs:\s+([\d,]+)", done.stderr)
    return int(counted[1].replace(",", "")) / 1e6 if counted else None


def cpu_ms(call: Callable[[], Any]) -> float:
    """CPU time of this process for one call, in milliseconds."""
    began = time.process_time()
    call()
    return (time.process_time() - began) * 1e3


def wall_ms(call: Callable[[], Any]) -> float:
    """The time until a call returns, in milliseconds."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e3


def per_call_ns(call: Callable[[], Any], calls: int = 2_000) -> float:
    """CPU time of one call out of many, in nanoseconds."""
    began = time.process_time_ns()
    for _ in range(calls):
        call()
    return (time.process_time_ns() - began) / calls


def table(results: Sequence[Result]) -> str:
    """The results as a table in Markdown."""
    lines = [
        "| work | contestant | median | 10 % to 90 % | ratio |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        title, floor = result.comparison.title, result.median(result.comparison.contestants[0].name)
        for name, values in result.found.items():
            low, high = _decile(values, 0.1), _decile(values, 0.9)
            unit, median = result.comparison.unit, result.median(name)
            spread = "" if len(values) < 3 else f"{_figure(low)} to {_figure(high)}"
            lines.append(f"| {title} | {name} | {_figure(median)} {unit} | {spread} | {median / floor:.2f} |")
            title = ""
    notes = [f"- {result.comparison.title}: {result.comparison.note}" for result in results if result.comparison.note]
    return "\n".join([*lines, "", *notes, ""])


def _decile(values: Sequence[float], part: float) -> float:
    return sorted(values)[round(part * (len(values) - 1))]


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


_BAR, _LEFT, _WIDTH = 16, 330, 420


def plot(results: Sequence[Result], path: Path) -> None:
    """Draw the medians as bars: in each comparison the longest one is as wide as the plot."""
    parts: list[str] = []
    y = 10
    for result in results:
        comparison = result.comparison
        parts.append(f'<text x="10" y="{y + 12}" font-weight="bold">{escape(comparison.title)}</text>')
        y += _BAR + 4
        longest = max(map(result.median, result.found))
        for name in result.found:
            median = result.median(name)
            fill = "#2f6fab" if name.startswith("kinetic-auth") else "#b9c3cf"
            width = _WIDTH * median / longest
            bar = f'x="{_LEFT}" y="{y + 2}" width="{width:.1f}" height="{_BAR - 4}" fill="{fill}"'
            label = f"{_figure(median)} {comparison.unit}"
            parts += [
                f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
                f"<rect {bar}/>",
                f'<text x="{_LEFT + width + 6:.1f}" y="{y + 12}">{label}</text>',
            ]
            y += _BAR
        y += 12
    size = f'width="{_LEFT + _WIDTH + 130}" height="{y}"'
    style = 'font-family="sans-serif" font-size="12"'
    body = "\n".join(parts)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n', encoding="utf-8")
