"""References to the secrets that they name: by the core's own schemes, or by an installed key loader."""

from collections.abc import Callable

from kinetic_auth_core.allowlist import ALL_ALLOWED, AllowedPlugins
from kinetic_auth_core.errors import KeyLoadError, KineticAuthError
from kinetic_auth_core.hookspecs import KeyLoaderHooks, Signer
from kinetic_auth_core.redaction import clean_chain, safe_cause, told
from kinetic_auth_core.references import BUILTIN_SCHEMES, Reference, load_builtin
from kinetic_auth_core.registry import load_key_loader
from kinetic_auth_core.settings.schema import LiteralText


class SecretLoader:
    """Resolves references; a key loader is imported when the first reference to it is.

    Args:
        lookup: Gives the value of an environment variable, for `env://NAME`.
        allowed: Whose key loaders may be loaded.
    """

    def __init__(self, lookup: Callable[[str], str | None], allowed: AllowedPlugins = ALL_ALLOWED) -> None:
        self._lookup = lookup
        self._allowed = allowed
        self._key_loaders: dict[str, KeyLoaderHooks] = {}

    def load(self, reference: Reference, *, binary: bool = False) -> LiteralText | bytes | Signer:
        """Fetch what a reference names, now.

        Args:
            reference: What to fetch.
            binary: It is for a key: what is no UTF-8 text, such as a PKCS12 file, is handed on as bytes, and nothing at
                all is no key. Other secrets may be empty, such as a security token.

        Returns:
            Text, without the line end that editors and `echo` leave behind it; bytes; or a `Signer` for a key that
            stays where it is.

        Raises:
            KeyLoadError: It cannot be had, is an empty key, or is no text where only text will do.
            UnknownProviderError: No key loader for its scheme is installed.
            ProviderLoadError: It does not load, or may not be loaded.
        """
        if reference.scheme in BUILTIN_SCHEMES:
            loaded: object = load_builtin(reference, self._lookup)
        else:
            loaded = self._load_with_plugin(reference)
        if isinstance(loaded, Signer):
            return loaded
        text = _text(loaded)
        if binary and text == "":
            raise KeyLoadError(f"{reference}: what it names is empty.", remedy="Put the key there.")
        if text is not None:
            return text
        if isinstance(loaded, bytes) and binary:
            return loaded
        gave = f"its key loader gave {type(loaded).__name__}, neither bytes nor a Signer"
        what = "the secret is not UTF-8 text" if isinstance(loaded, bytes) else gave
        del loaded  # not among the locals of a traceback
        raise KeyLoadError(f"{reference}: {what}.")

    def _load_with_plugin(self, reference: Reference) -> object:
        try:
            loader = self._key_loaders.get(reference.scheme)
            if loader is None:
                loader = self._key_loaders[reference.scheme] = load_key_loader(reference.scheme, self._allowed)
            return loader.load_key(reference)
        except KineticAuthError as error:
            clean_chain(error, ())
            raise
        except Exception as error:  # noqa: BLE001 - raised again below
            cause = safe_cause(error, ())
        raise KeyLoadError(f"{reference}: the key loader raised {told(cause)}") from cause


def _text(loaded: object) -> LiteralText | None:
    if isinstance(loaded, str):
        return LiteralText(loaded)
    try:
        return LiteralText(loaded.decode().rstrip("\r\n")) if isinstance(loaded, bytes) else None
    except UnicodeDecodeError:
        return None
