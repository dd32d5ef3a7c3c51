"""What Flask-AppBuilder is told: where accounts are, and which group means which role."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from cityledger.airflow.roles import NOBODY_YET, group_of, role_names
from cityledger.contracts.city import read_city
from cityledger.errors import BadInputError
from cityledger.settings import Settings

#: Flask-AppBuilder's numbers of the ways to log in (flask_appbuilder.const).
AUTH_DB: Final = 1
AUTH_OAUTH: Final = 4
PROVIDER: Final = "city"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def options(settings: Settings) -> dict[str, Any]:
    """The configuration, by Flask's names.

    Raises:
        BadInputError: the settings of OIDC are incomplete or would send secrets in the clear.
    """
    from cityledger.airflow.login.manager import CitySecurityManager

    common = {"SECURITY_MANAGER_CLASS": CitySecurityManager, "WTF_CSRF_ENABLED": True}
    if settings.oidc_issuer is None:
        return {**common, "AUTH_TYPE": AUTH_DB}
    return {
        **common,
        "AUTH_TYPE": AUTH_OAUTH,
        # Who can log in gets an account that sees what is published; groups say more.
        "AUTH_USER_REGISTRATION": True,
        "AUTH_USER_REGISTRATION_ROLE": NOBODY_YET,
        # At each login: who leaves a group loses its role with the next one.
        "AUTH_ROLES_SYNC_AT_LOGIN": True,
        "AUTH_ROLES_MAPPING": groups(settings),
        "OAUTH_PROVIDERS": [_provider(settings)],
    }


def groups(settings: Settings) -> dict[str, list[str]]:
    """Which Airflow roles a group of the identity provider means.

    ``cityledger-steward`` and the like mean what they say; ``oidc_groups`` adds the city's own.

    Raises:
        BadInputError: ``oidc_groups`` names a role that there is not.
    """
    departments = [one.id for one in read_city(settings.contracts_dir / "city.yaml").departments]
    known = {group_of(name): name for name in role_names(departments)}
    mapping = {f"cityledger-{short}": [name] for short, name in known.items()}
    for group, short in settings.oidc_groups.items():
        if short not in known:
            raise BadInputError(
                f"group '{group}' is to have role '{short}', which there is not",
                where="CITYLEDGER_OIDC_GROUPS",
                fix=f"one of: {', '.join(sorted(known))}",
                code="unknown_role",
            )
        mapping.setdefault(group, []).append(known[short])
    return mapping


def _provider(settings: Settings) -> dict[str, Any]:
    issuer = str(settings.oidc_issuer).rstrip("/")
    address = urlsplit(issuer)
    if address.scheme != "https" and address.hostname not in _LOOPBACK:
        raise BadInputError(
            "the identity provider would be asked without TLS",
            where="CITYLEDGER_OIDC_ISSUER",
            fix="give its https:// address",
            code="unencrypted_login",
        )
    if settings.oidc_client_secret is None:
        raise BadInputError(
            "the identity provider is set, the client's secret is not",
            where="CITYLEDGER_OIDC_CLIENT_SECRET",
            fix="register CityLedger with the provider and set the secret that it gives",
            code="oidc_incomplete",
        )
    return {
        "name": PROVIDER,
        "icon": "fa-key",
        "token_key": "access_token",
        "remote_app": {
            "client_id": settings.oidc_client_id,
            "client_secret": settings.oidc_client_secret.get_secret_value(),
            "server_metadata_url": f"{issuer}/.well-known/openid-configuration",
            "client_kwargs": {"scope": "openid profile email", "code_challenge_method": "S256"},
        },
    }
