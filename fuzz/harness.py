"""Fuzz one target with atheris: `python fuzz/harness.py TARGET CORPUS [libFuzzer's options]`."""

import importlib
import logging
import sys
from pathlib import Path

import atheris


def main() -> None:
    """Write the seeds that the corpus lacks, then run until libFuzzer's options say stop."""
    sys.path.insert(0, str(Path(__file__).parent))
    logging.disable()  # what is logged of bad input would be most of the work
    name, corpus, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["kinetic_auth_core", "kinetic_auth_jwt_bearer", "dotenv", "tomllib"]):
        target = importlib.import_module(f"targets.{name}")
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        folder.joinpath(f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], str(folder), *options], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
