"""Fuzz one target with atheris: `python fuzz/harness.py TARGET.py CORPUS [libFuzzer's options]`."""

import importlib
import importlib.metadata
import logging
import sys
from pathlib import Path

import atheris


def main() -> None:
    """Write the missing seeds to the corpus, then run until libFuzzer's options say stop."""
    logging.disable()  # else most of the time would be spent on logging
    path, corpus, *options = sys.argv[1:]
    sys.path.insert(0, str(Path(path).parent))
    ours = [name for name in importlib.metadata.packages_distributions() if name.startswith("kinetic_auth_")]
    with atheris.instrument_imports(include=[*ours, "dotenv", "tomllib"]):
        target = importlib.import_module(Path(path).stem)
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        folder.joinpath(f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(folder), *options], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
