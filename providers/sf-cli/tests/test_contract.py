"""The provider keeps the contract of all providers."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from kinetic_auth_core.testing import ProviderContract
from kinetic_auth_sf_cli import SfCliAuthenticator

pytestmark = pytest.mark.usefixtures("full_tier")


class TestSfCli(ProviderContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, stand_in: Any) -> None:
        self.folders = (tmp_path / f"bin-{number}" for number in itertools.count())
        self.stand_in = type(stand_in)

    def make_provider(self) -> SfCliAuthenticator:
        login = self.emulator.default
        sf = self.stand_in(next(self.folders))
        sf.shows(self.emulator.issue_access_token(login.app, login.user), self.login_url)
        return SfCliAuthenticator(command=str(sf.path))
