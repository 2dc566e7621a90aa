"""Malformed references, and audiences of other platforms, are reported by `resolve` and before anything is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import kinetic_auth_core as kinetic
from kinetic_auth_core import KeyLoadError, Reference
from kinetic_auth_token_exchange import OidcLoader
from kinetic_auth_token_exchange.audiences import owner_of

FORMS = "Remedy: Write oidc://github?audience=... or oidc://file/<absolute path>?audience=...."

WRONG = [
    ("oidc://gitlab?audience=a", f"'gitlab' is not a source of oidc:// (did you mean 'github'?). {FORMS}"),
    ("oidc://var/run/sf?audience=a", f"'var' is not a source of oidc://. {FORMS}"),
    ("oidc://github/acme?audience=a", f"nothing may follow github. {FORMS}"),
    ("oidc://file?audience=a", f"it names no file. {FORMS}"),
    ("oidc://file/?audience=a", f"it names no file. {FORMS}"),
    ("oidc://file/var/run/?audience=a", f"it names no file. {FORMS}"),
    ("oidc://github?audience=a&cache=3", f"github has no option 'cache'. {FORMS}"),
    ("oidc://github?audiense=a", f"github has no option 'audiense' (did you mean 'audience'?). {FORMS}"),
    ("oidc://github?audience=a#sub", "a token has no fields. Remedy: Omit #... at the end of the reference."),
    ("oidc://github", "the token needs an audience. Remedy: Choose a name that only this org's handler accepts"),
    ("oidc://github?audience=", "the token needs an audience. Remedy: Choose a name"),
    ("oidc://file/sf?audience=%20a", "its audience has blanks around it, or a control character in it."),
    (
        "oidc://file/sf?audience=a%0Ab",
        "its audience has blanks around it, or a control character in it. Remedy: Choose",
    ),
    ("oidc://github?audience=sts.amazonaws.com", "the audience 'sts.amazonaws.com' is that of AWS, which such a token"),
    (
        "oidc://file/sf?audience=https://kubernetes.default.svc",
        "the audience 'https://kubernetes.default.svc' is that of the Kubernetes cluster, which such a token",
    ),
]


@pytest.mark.parametrize(("uri", "message"), WRONG, ids=[uri for uri, _ in WRONG])
def test_a_malformed_reference_is_reported_with_its_correction(
    uri: str, message: str, reference: Callable[[str], Reference]
) -> None:
    loader = OidcLoader()
    for look in (loader.check_reference, loader.load_key, loader.identity):
        with pytest.raises(KeyLoadError) as caught:
            look(reference(uri))
        assert str(caught.value).startswith(f"{uri}: {message}")


@pytest.mark.parametrize(
    "uri",
    [
        "oidc://github?audience=https://acme.my.salesforce.com",
        "oidc://file/var/run/secrets/tokens/sf?audience=salesforce-prod",
        "oidc://file/var/run/sf?audience=urn%3Aacme%3Asalesforce",
    ],
)
def test_a_valid_reference_passes_the_check(uri: str, reference: Callable[[str], Reference]) -> None:
    OidcLoader().check_reference(reference(uri))


OTHERS = {
    "AWS": ["sts.amazonaws.com", "STS.amazonaws.com/", "https://sts.amazonaws.com", "sts.eu-west-1.amazonaws.com",
            "sts.amazonaws.com.cn", "pods.eks.amazonaws.com"],
    "Microsoft Entra": ["api://AzureADTokenExchange", "api://azureadtokenexchange/", "api://AzureADTokenExchangeUSGov"],
    "Microsoft Azure": ["https://login.microsoftonline.com/tenant/v2.0", "https://management.azure.com/"],
    "Google Cloud": ["https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/g",
                     "//iam.googleapis.com/projects/1/x", "https://sts.googleapis.com", "acme.svc.id.goog"],
    "the Kubernetes cluster": ["https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local",
                               "kubernetes.default.svc", "https://kubernetes.default.svc:443/", "kubernetes", "k3s",
                               "https://container.googleapis.com/v1/projects/p/clusters/c",
                               "https://acme-dns.hcp.westeurope.azmk8s.io:443",
                               "https://oidc.eks.eu-west-1.amazonaws.com/id/0123"],
    "GitHub": ["https://github.com/acme", "https://github.com/acme/report", "https://token.actions.githubusercontent.com"],
    "GitLab": ["https://gitlab.com"],
    "another service": ["vault", "sigstore", "pypi", "npm:registry.npmjs.org"],
}  # fmt: skip


@pytest.mark.parametrize(("audience", "owner"), [(each, owner) for owner, all_ in OTHERS.items() for each in all_])
def test_an_audience_of_another_platform_is_known_by_name(audience: str, owner: str) -> None:
    assert owner_of(audience) == owner


@pytest.mark.parametrize(
    "audience",
    [
        "https://acme.my.salesforce.com",
        "salesforce",
        "acme-vault",
        "https://sts.acme.com",
        "api://acme",
        "my-kubernetes",
    ],
)
def test_an_audience_of_ones_own_belongs_to_nobody_else(audience: str) -> None:
    assert owner_of(audience) is None


def test_resolve_reports_an_audience_of_another_platform_with_its_source() -> None:
    Path("kinetic-auth.toml").write_text(
        '[environments.ci]\nprovider = "token-exchange"\nclient_id = "3MVG9"\n'
        'login_url = "https://acme.my.salesforce.com"\nsubject_token = "oidc://github?audience=sts.amazonaws.com"\n'
    )
    with pytest.raises(kinetic.ConfigurationError) as caught:
        kinetic.resolve(environment="ci")
    assert "kinetic-auth.toml:environments.ci.subject_token" in str(caught.value)
    assert "is that of AWS" in str(caught.value)
