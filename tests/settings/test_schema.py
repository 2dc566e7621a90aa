"""`setting()` and the schema of a class; which values a setting accepts, and the messages for others."""

import enum
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NewType, Protocol, TypedDict

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetic_auth_core as kinetic
from kinetic_auth_core.config.construct import refusals
from kinetic_auth_core.errors import suggest
from kinetic_auth_core.redaction import mask
from kinetic_auth_core.registry.validation import RESERVED_NAMES, reserved_names_of
from kinetic_auth_core.settings.fields import coerce
from kinetic_auth_core.settings.schema import LiteralText, Setting, exactly_one_of, group_problem, schema, secret_texts


def at_most_ten(_instance: object, _attribute: object, value: Any) -> None:
    if value > 10:
        raise ValueError(f"{value} is more than 10")


def not_blue(_instance: object, _attribute: object, value: Any) -> None:
    if value == "blue":
        raise kinetic.ConfigurationError("blue it must not be", remedy="Take red.")


def silent(_instance: object, _attribute: object, value: Any) -> None:
    if value:
        raise LookupError


@attrs.frozen
class Everything:
    """A plugin's class with each kind of field."""

    host: str = kinetic.setting(help="Where to ask.", env="SSO_HOST")
    tries: int = kinetic.setting(3, help="How often.", validator=at_most_ten, kw_only=True)
    colour: str = kinetic.setting("red", help="Which.", validator=[attrs.validators.instance_of(str), not_blue])
    names: list[str] = kinetic.setting(attrs.Factory(list), help="Who.")
    derived: str = kinetic.setting(attrs.Factory(lambda self: f"{self.host}!", takes_self=True), help="")
    token: str = kinetic.setting("t-canary", help="What.", secret=True, validator=attrs.validators.matches_re("t.*"))
    size: int = kinetic.setting(1, help="How big.", converter=int)
    mute: str = kinetic.setting("", help="", validator=silent)
    _private: str = attrs.field(default="plain")
    cache: dict[str, str] = attrs.field(init=False, factory=dict)


def of(name: str, cls: type = Everything) -> Setting:
    return next(each for each in schema(cls) if each.name == name)


def test_the_schema_has_the_constructors_arguments_in_their_order() -> None:
    names = ["host", "colour", "names", "derived", "token", "size", "mute", "private", "tries"]
    assert [each.name for each in schema(Everything)] == names


def test_a_setting_knows_its_variable_help_type_and_whether_it_is_required() -> None:
    assert (of("host").env, of("host").help, of("host").type, of("host").required) == (
        "SSO_HOST",
        "Where to ask.",
        str,
        True,
    )
    assert (of("tries").env, of("tries").default, of("tries").required) == ("SF_TRIES", 3, False)
    assert (of("private").env, of("private").help, of("private").secret) == ("SF_PRIVATE", "", False)


def test_defaults_are_explained_for_an_instance() -> None:
    has = attrs.make_class("Has", {"host": attrs.field(default="h")})()
    assert of("derived").default_value(has) == "h!"
    assert of("names").default_value(has) == []
    assert of("names").default_value(has) is not of("names").default_value(has)
    assert of("tries").default_value(has) == 3
    assert of("host").default_value(has) is None


def test_secrets_are_in_no_repr() -> None:
    @attrs.frozen
    class Secretive:
        token: str = kinetic.setting(help="", secret=True)
        host: str = kinetic.setting("h", help="")

    assert repr(Secretive("canary")).endswith("Secretive(host='h')")
    assert repr(schema(Everything)).startswith("(Setting('host', <class 'str'>), Setting(")
    assert "canary" not in repr(schema(Everything))
    assert secret_texts(Secretive("canary")) == ["canary"]
    assert secret_texts(Secretive(b"canary")) == ["canary"]  # type: ignore[arg-type]  # also as bytes


def test_a_class_that_is_not_an_attrs_class_has_no_settings() -> None:
    class Plain:
        host = "h"

    with pytest.raises(kinetic.ConfigurationError, match="Plain is not an attrs class, so it has no settings"):
        schema(Plain)


def test_an_annotation_that_does_not_resolve_is_an_error_that_says_which() -> None:
    @attrs.frozen
    class Forgetful:
        host: "Unimported" = kinetic.setting(help="")  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(
        kinetic.ConfigurationError, match=r"an annotation of .*Forgetful does not resolve.*'Unimported'"
    ):
        schema(Forgetful)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_reserved_name_is_refused(name: str) -> None:
    cls = attrs.make_class("Greedy", {"host": kinetic.setting("h", help=""), name: kinetic.setting("", help="")})
    assert reserved_names_of(cls) == [name]


def test_names_of_the_stores_variables_are_reserved() -> None:
    cls = attrs.make_class(
        "Greedy", {"store_url": kinetic.setting("h", help=""), "stored": kinetic.setting("", help="")}
    )
    assert reserved_names_of(cls) == ["store_url"]


def test_the_names_of_the_source_and_of_resolve_are_reserved() -> None:
    assert sorted(RESERVED_NAMES) == [
        "allowed_instance_hosts",
        "config",
        "env_file",
        "environment",
        "expected_org_id",
        "lockout_guard",
        "login_budget",
        "observers",
        "provider",
        "session_lifetime",
        "store",
    ]


def test_a_value_is_accepted_in_the_form_of_the_constructor() -> None:
    assert of("tries").accept("7", text=True) == 7
    assert of("names").accept("a, b ,,c", text=True) == ["a", "b", "c"]
    assert of("size").accept("5") == "5"  # its converter makes the number
    assert of("private").accept("x") == "x"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("host", "", "is empty"),
        ("host", 5, "expected text, got a whole number"),
        ("size", "five", "invalid literal for int"),
    ],
)
def test_the_message_of_a_refused_value_says_why(name: str, value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        of(name).accept(value)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("tries", 11, "11 is more than 10"),
        ("colour", "blue", "blue it must not be"),
        ("mute", "x", "LookupError"),
        ("token", "canary", "was refused (ValueError)"),
    ],
)
def test_what_a_validator_refuses_says_why_without_a_secret(name: str, value: object, problem: str) -> None:
    assert refusals(Everything, {"host": "h", name: value}) == {name: problem}


def test_a_finished_instance_is_checked_by_type_and_validator() -> None:
    @attrs.define
    class Loose:
        host: str = kinetic.setting(help="")
        tries: int = kinetic.setting(3, help="", validator=at_most_ten)

    made = Loose("h")
    of("tries", Loose).check(made)
    made.host = ""
    with pytest.raises(ValueError, match="is empty"):
        of("host", Loose).check(made)
    made.host = 5  # type: ignore[assignment]  # the point of the test
    with pytest.raises(ValueError, match="expected text, got a whole number"):
        of("host", Loose).check(made)


def test_a_validator_runs_when_an_ordinary_class_is_made() -> None:
    @attrs.frozen
    class Strict:
        tries: int = kinetic.setting(3, help="", validator=at_most_ten)

    with pytest.raises(ValueError, match="11 is more than 10"):
        Strict(11)


@pytest.mark.parametrize(
    ("expected", "value", "result"),
    [
        (str, "x", "x"),
        (Any, 5, 5),
        (int, 5, 5),
        (float, 5, 5),
        (float, 0.5, 0.5),
        (bool, True, True),
        (str | None, None, None),
        (int | str, "x", "x"),
        (bytes, b"x", b"x"),
        (Path, "/x", Path("/x")),
        (Path | None, "/x", Path("/x")),
        (str | Path, "/x", "/x"),
        (str | os.PathLike[str] | None, Path("/x"), Path("/x")),
        (os.PathLike[str], "/x", "/x"),
        (Literal["a", "b"], "b", "b"),
        (list[int], [1, 2], [1, 2]),
        (list, [1, "x"], [1, "x"]),
        (tuple[str, ...], ["a"], ("a",)),
        (frozenset[str], ("a", "a"), frozenset("a")),
        (Sequence[str], ("a",), ["a"]),
        (Collection[str], ["a"], ["a"]),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (Callable[[], None], print, print),
    ],
)
def test_a_value_of_the_right_type_fits(expected: Any, value: Any, result: Any) -> None:
    fitted = coerce(value, expected)
    assert fitted == result
    assert type(fitted) is type(result)


@pytest.mark.parametrize(
    ("expected", "value", "result"),
    [
        (int, " 5 ", 5),
        (float, "0.5", 0.5),
        (bool, "Yes", True),
        (bool, "0", False),
        (bool | None, "off", False),
        (int | None, "7", 7),
        (list[int], "1,2", [1, 2]),
        (tuple[str, ...], "a, b", ("a", "b")),
        (list[str], "", []),
        (str, " x ", " x "),
        (Literal["a"], "a", "a"),
    ],
)
def test_text_from_a_variable_is_read(expected: Any, value: str, result: Any) -> None:
    fitted = coerce(value, expected, text=True)
    assert fitted == result
    assert type(fitted) is type(result)


@pytest.mark.parametrize(
    ("expected", "value", "text", "problem"),
    [
        (str, None, False, "expected text, got nothing"),
        (str, 5, False, "expected text, got a whole number"),
        (str, ["x"], False, "expected text, got a list"),
        (str, {}, False, "expected text, got a table"),
        (str, b"x", False, "expected text, got bytes"),
        (int, "5", False, "expected a whole number, got text"),
        (int, True, False, "expected a whole number, got true or false"),
        (int, 0.5, False, "expected a whole number, got a number"),
        (int, "5.5", True, "expected a whole number, got text"),
        (float, "soon", True, "expected a number, got text"),
        (bool, 1, False, "expected true or false, got a whole number"),
        (bool, "maybe", True, "expected true or false, got text"),
        (int | str | None, 0.5, False, "expected a whole number or text, got a number"),
        (Path, 5, False, "expected a path, got a whole number"),
        (Literal["a", "b"], "c", False, "expected 'a' or 'b', got text"),
        (list[int], "1,x", True, "expected a list, got text"),
        (list[str], "a", False, "expected a list, got text"),
        (list[str], 5, False, "expected a list, got a whole number"),
        (dict[str, str], "a", True, "expected a table, got text"),
        (complex, "a", False, "expected complex, got text"),
    ],
)
def test_the_message_about_a_wrong_type_names_types_only(expected: Any, value: Any, text: bool, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        coerce(value, expected, text=text)


class Region(TypedDict):
    """The type of a table."""

    name: str


class Quacks(Protocol):
    """A type that isinstance does not accept."""

    def quack(self) -> str: ...


def test_a_table_fits_a_typed_dict() -> None:
    assert coerce({"name": "eu"}, Region) == {"name": "eu"}
    with pytest.raises(ValueError, match="got text"):
        coerce("eu", Region)


def test_a_type_that_cannot_be_checked_at_run_time_takes_any_value() -> None:
    assert coerce("x", Quacks) == "x"


def test_a_tuple_of_different_types_is_checked_item_by_item() -> None:
    assert coerce(["eu", 1], tuple[str, int]) == ("eu", 1)
    with pytest.raises(ValueError, match="expected"):
        coerce([1, "eu"], tuple[str, int])


@given(st.text(), st.sampled_from([int, float, bool, list[int], Literal["a"], dict[str, str], bytes]))
def test_a_refused_value_is_never_quoted(value: str, expected: Any) -> None:
    canary = f"canary{value}"
    with pytest.raises(ValueError, match="expected") as caught:
        coerce(canary, expected, text=True)
    assert "canary" not in str(caught.value)


@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_characters=",", codec="utf-8"), min_size=1).filter(
            lambda text: text == text.strip()
        )
    )
)
def test_a_list_survives_a_variable(names: list[str]) -> None:
    assert coerce(",".join(names), list[str], text=True) == names


def test_a_path_setting_is_known_as_one() -> None:
    @attrs.frozen
    class Paths:
        one: Path = kinetic.setting(help="")
        two: str | os.PathLike[str] | None = kinetic.setting(None, help="")
        three: str = kinetic.setting("", help="")

    assert [each.is_path for each in schema(Paths)] == [True, True, False]


def test_groups_are_read_from_the_class() -> None:
    assert exactly_one_of(kinetic.JWTAuthenticator) == (("private_key", "private_key_path"),)
    assert exactly_one_of(Everything) == ()
    settings = schema(kinetic.JWTAuthenticator)
    group = ("private_key", "private_key_path")
    assert group_problem(settings, group, {"private_key"}) is None
    assert group_problem(settings, group, set()) == (
        "one of private_key or private_key_path is needed (as variable: SF_PRIVATE_KEY or SF_PRIVATE_KEY_PATH)"
    )
    assert group_problem(settings, group, set(group)) == (
        "private_key and private_key_path exclude each other: give one of them"
    )


def test_the_most_similar_name_is_suggested_and_a_different_one_is_not() -> None:
    assert suggest("usrename", ["username", "password"]) == " (did you mean 'username'?)"
    assert suggest("xyz", ["username", "password"]) == ""
    assert suggest("x", []) == ""


def test_masking_replaces_the_longest_secret_first_and_keeps_short_ones() -> None:
    assert mask("word, password and pin", ["word", "password", "pin"]) == "********, ******** and pin"


def test_literal_text_is_text() -> None:
    assert LiteralText("env://X") == "env://X"
    assert isinstance(LiteralText("x"), str)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


Tries = NewType("Tries", int)


@pytest.mark.parametrize(
    ("expected", "text", "value"),
    [
        (Colour, "blue", Colour.BLUE),
        (Colour | None, "red", Colour.RED),
        (list[Colour], "red,blue", [Colour.RED, Colour.BLUE]),
        (Level, "1", Level.LOW),
        (Literal[1, 2], "2", 2),
        (Literal[Colour.RED], Colour.RED, Colour.RED),
        (Literal[True, "auto"], "true", True),
        (Literal[True, "auto"], "auto", "auto"),
        (Tries, "3", 3),
        (Tries | None, "3", 3),
    ],
)
def test_a_variable_can_give_each_choice_and_what_a_new_type_names(expected: Any, text: Any, value: object) -> None:
    assert coerce(text, expected, text=True) == value
    assert type(coerce(text, expected, text=True)) is type(value)


def test_a_choice_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="expected 'red' or 'blue', got text"):
        coerce("green", Colour)
    with pytest.raises(ValueError, match="expected a whole number, got text"):
        coerce("many", Tries, text=True)
    with pytest.raises(ValueError, match="Colour.RED"):
        coerce(Colour.BLUE, Literal[Colour.RED])


def test_an_instance_made_by_hand_needs_the_member_itself() -> None:
    @attrs.frozen
    class Painted:
        colour: Colour = kinetic.setting(help="Which.")

        @kinetic.hookimpl
        def authenticate(self) -> None: ...

    assert of("colour", Painted).accept("red") is Colour.RED
    of("colour", Painted).check(Painted(Colour.RED))
    with pytest.raises(ValueError, match="expected Colour.RED"):
        of("colour", Painted).check(Painted("red"))  # type: ignore[arg-type]
