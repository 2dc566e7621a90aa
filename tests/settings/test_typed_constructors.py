"""What type checkers are told of a provider's constructor is what it takes."""

import ast
import inspect
import textwrap
from typing import get_type_hints

import pytest

from kinetic_auth_core.plugins import ConnectionOptions, GrantAuthenticator, load_authenticator, schema
from kinetic_auth_core.registry.discovery import AUTHENTICATORS, installed


def written_out(cls: type) -> ast.arguments | None:
    """The arguments of the constructor in a class's source, if there is one for type checkers."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    return next((node.args for node in found), None)


CLASSES = [load_authenticator(each.name)[1] for each in installed(AUTHENTICATORS)]
TYPED = [cls for cls in CLASSES if written_out(cls) is not None]


def test_the_providers_whose_login_url_has_a_place_of_its_own_are_written_out() -> None:
    grants = [cls for cls in CLASSES if issubclass(cls, GrantAuthenticator)]
    assert len(TYPED) >= 6
    assert [cls for cls in grants if "login_url" in vars(cls).get("__annotations__", {})] == [
        cls for cls in grants if cls in TYPED
    ]


@pytest.mark.parametrize("cls", TYPED, ids=lambda cls: cls.__name__)
def test_it_has_the_names_order_and_defaults_of_the_real_one(cls: type) -> None:
    args = written_out(cls)
    assert args is not None
    real = inspect.signature(cls).parameters.values()
    common = ConnectionOptions.__annotations__.keys()
    positional = [each for each in real if each.kind is each.POSITIONAL_OR_KEYWORD]
    keyword = [each.name for each in real if each.kind is each.KEYWORD_ONLY and each.name not in common]
    assert [each.arg for each in args.args[1:]] == [each.name for each in positional]
    assert len(args.defaults) == sum(each.default is not each.empty for each in positional)
    assert [each.arg for each in args.kwonlyargs] == keyword
    assert None not in args.kw_defaults


def test_the_common_keywords_are_those_of_every_grant() -> None:
    settings = {each.name: each.type for each in schema(GrantAuthenticator) if each.name != "login_url"}
    assert get_type_hints(ConnectionOptions) == settings
