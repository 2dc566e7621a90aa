"""What to do about a problem of the configuration, from what the problem says itself."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

_PLACE = re.compile(
    r"(?:one of |--set |[\w.-]+: (?=[a-z][\w.]*(?: \(from | is missing)))?"
    r"(?P<name>[a-z][\w.]*)(?: \(from (?P<source>.+?)\)(?=[: ]))?(?::| is | and | or )"
)
MISSPELT = "is not used by any setting"
NOT_NAMED = "found by searching"
MY_DOMAIN = "Set {setting} to the org's My Domain: Setup, My Domain, Current My Domain URL."
_AS_VARIABLE = re.compile(r"as (?:variable: )?(\w+_\w+(?: or \w+_\w+)?)\)?$")

#: What a problem says itself of what to do, and how it is put as a remedy.
_ADVICE = (
    (_AS_VARIABLE, "Set {0} in the environment or in .env, or {setting} in the config file."),
    (re.compile(r": write (https?://\S+?)(?:[,;)]|$)"), "Set {setting} to {0}{where}."),
    (re.compile(r": write (?:the org's|your) My Domain"), MY_DOMAIN),
    (
        re.compile(r": must begin with https://$"),
        "Write https:// and the host alone{where}, without quotes: https://acme.my.salesforce.com.",
    ),
    (re.compile(r": must begin with http://"), "Write http:// before the address{where}."),
    (re.compile(r"blanks around it, or a line break"), "Write {setting} without them{where}."),
    (re.compile(r"the variable (\w+) is not set"), "Set the variable {0} in the environment or in .env."),
    (re.compile(r"unknown setting \(did you mean '([^']+)'\?\)"), "Write {0} instead of {setting}."),
    (re.compile(rf"{MISSPELT} \(did you mean (\w+)\?\)"), "Rename it to {0}."),
    (re.compile(r"did you mean '([^']+)'\?"), "Write {0}{where}."),
    (re.compile(r"is installed; installed: "), "Name one that is installed, or install the package that has it."),
    (re.compile(r"; it has: (?!none)(.+?)\.$"), "Write one of these: {0}."),
    (re.compile(r"no provider was named.* Name one: (.+)\.$"), "Name one: {0}."),
    (re.compile(r"exclude each other: give one of them \((.+)\)$"), "Remove one of the two: {0}."),
    (
        re.compile(r"not valid TOML: .*\(at line (\d+)"),
        "Correct line {0}: text needs quotes, and a table is there once.",
    ),
    (re.compile(r"read the same variables, .*: rename all but one"), "Rename all but one of these environments."),
    (re.compile(rf"{NOT_NAMED}.*name it: config=\"(.+?)\""), "If you trust that file, name it: --config {0}."),
    (re.compile(rf"{NOT_NAMED}.*name it: env_file=\"(.+?)\""), "If you trust that file, name it: --env-file {0}."),
)


def place_of(problem: str) -> tuple[str | None, str | None]:
    """The setting that a problem begins with, and where that comes from; None where it does not say.

    Args:
        problem: A sentence: `name (from source): what`, or without the source; perhaps an environment before it.
    """
    match = _PLACE.match(problem)
    return (match["name"], match["source"]) if match else (None, None)


def advice(problem: str, variables: Sequence[str] = ()) -> str:
    """What to do about a problem, from what it says itself.

    Args:
        problem: As for `place_of`.
        variables: The names of the variables that are set, one of which may be misspelt.
    """
    setting, source = place_of(problem)
    where = f" in {source}" if source and source != "default" else ""
    for pattern, remedy in _ADVICE:
        if (match := pattern.search(problem)) is not None and (setting or "{setting}" not in remedy):
            found = match[1] if pattern.groups else ""
            others = _misspelt(found, variables) if pattern is _AS_VARIABLE else ""
            return f"{remedy.format(found, setting=setting, where=where)}{others}"
    if setting is not None:
        return f"Set {setting}." if source == "default" else f"Correct {setting}{where}."
    return "Correct what the message names; kinetic-auth config show lists every setting and its source."


def _misspelt(names: str, variables: Sequence[str]) -> str:
    """A sentence about a variable that is set and has nearly the name of one that is missing; else nothing."""
    similar = {name.upper(): name for name in variables if "_" in name}
    for name in names.split(" or "):
        if close := get_close_matches(name, similar, n=1, cutoff=0.8):
            return f" {similar[close[0]]} is set: rename it, if it is meant."
    return ""
