"""Audiences of other platforms, which a subject token for Salesforce must not have.

A token for such an audience opens that platform, too: anybody who sees it in a debug log of the org could use it there.
So they are refused by name, before a token is requested.
"""

import re

#: How an audience begins or reads, in lower case and without a slash at its end, and whose it is.
_OTHERS = (
    (r"(https://)?sts(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?", "AWS"),
    (r"(https://)?pods\.eks\.amazonaws\.com(\.cn)?", "AWS"),
    (r"api://azureadtokenexchange(usgov|china)?", "Microsoft Entra"),
    (r"https://(login\.microsoftonline\.(com|us)|sts\.windows\.net|management\.azure\.com)(/.*)?", "Microsoft Azure"),
    (r"(https:)?//(iam|sts|oauth2)\.googleapis\.com(/.*)?|.*\.svc\.id\.goog", "Google Cloud"),
    (r"(https://)?kubernetes(\.default(\.svc(\.[a-z0-9.-]+)?)?)?(:\d+)?", "the Kubernetes cluster"),
    (r"https://container\.googleapis\.com/.*|https://.*\.azmk8s\.io(:\d+)?", "the Kubernetes cluster"),
    (r"https://oidc\.eks\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/.*|k3s|rke2", "the Kubernetes cluster"),
    (r"https://github\.com(/.*)?|https://token\.actions\.githubusercontent\.com", "GitHub"),
    (r"https://gitlab\.com", "GitLab"),
    (r"vault|sigstore|pypi|testpypi|npm:registry\.npmjs\.org", "another service"),
)


def owner_of(audience: str) -> str | None:
    """Whose default an audience is; None if it is that of no known platform.

    Args:
        audience: The audience.
    """
    plain = audience.strip().lower().rstrip("/.")
    return next((owner for pattern, owner in _OTHERS if re.fullmatch(pattern, plain)), None)
