"""What `make fuzz` looks for with time and coverage, looked for here in seconds: the targets on their own seeds, and on
what is near to them.
"""

import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
TARGETS = sorted([*ROOT.glob("fuzz/targets/*.py"), *ROOT.glob("providers/*/fuzz/*.py")])


@functools.cache
def load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"fuzz_target_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def seeds(path: Path) -> tuple[bytes, ...]:
    return tuple(load(path).seeds())


@st.composite
def near_a_seed(draw: st.DrawFn, path: Path) -> bytes:
    """A seed with a piece cut out and another put in, from any seed or from nowhere."""
    seed, other = draw(st.sampled_from(seeds(path))), draw(st.sampled_from(seeds(path)))
    start, end = sorted(draw(st.integers(0, len(text))) for text in (seed, seed))
    piece = draw(st.binary(max_size=8) | st.integers(0, len(other)).map(lambda at: other[at : at + 40]))
    return seed[:start] + piece + seed[min(end, start + 40) :]


def inputs(path: Path) -> Iterator[bytes]:
    yield b""
    yield from seeds(path)


@pytest.mark.parametrize("path", TARGETS, ids=lambda path: path.stem)
def test_the_seeds_break_nothing(path: Path) -> None:
    for data in inputs(path):
        load(path).check(data)


@pytest.mark.parametrize("path", TARGETS, ids=lambda path: path.stem)
@given(data=st.data())
@settings(max_examples=30)
def test_mutated_seeds_break_nothing(path: Path, data: st.DataObject) -> None:
    load(path).check(data.draw(near_a_seed(path) | st.binary(max_size=200)))
