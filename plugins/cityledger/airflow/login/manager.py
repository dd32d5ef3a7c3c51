"""Accounts and roles in Airflow's database, and who the identity provider says somebody is."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.fab.auth_manager.security_manager.override import (
    FabAirflowSecurityManagerOverride,
)
from airflow.providers.fab.www.security import permissions
from werkzeug.security import check_password_hash

from cityledger.airflow.roles import PREFIX, role_names
from cityledger.contracts.city import read_city
from cityledger.people import Role
from cityledger.settings import get_settings

_log = logging.getLogger(__name__)

_Base = FabAirflowSecurityManagerOverride
#: What a person may do in Airflow itself; the console asks for our roles. Departments and the
#: public see no DAGs, runs or logs there: those tell of everybody's data.
_DOOR = [(permissions.ACTION_CAN_READ, permissions.RESOURCE_WEBSITE)]
_PERMISSIONS: dict[str, list[tuple[str, str]]] = {
    f"{PREFIX}{Role.ENGINEER}": [
        *_Base.VIEWER_PERMISSIONS,
        *_Base.USER_PERMISSIONS,
        *_Base.OP_PERMISSIONS,
    ],
    f"{PREFIX}{Role.STEWARD}": _Base.VIEWER_PERMISSIONS,
    f"{PREFIX}{Role.AUDITOR}": _Base.VIEWER_PERMISSIONS,
}


class CitySecurityManager(FabAirflowSecurityManagerOverride):
    """FAB's, with the five roles and the claims of one OIDC provider."""

    def sync_roles(self) -> None:
        """Make the roles that are missing, one for each department of the city among them."""
        city = read_city(get_settings().contracts_dir / "city.yaml")
        ours = [name for name in role_names(one.id for one in city.departments) if PREFIX in name]
        self.ROLE_CONFIGS = [
            *_Base.ROLE_CONFIGS,
            *({"role": name, "perms": _PERMISSIONS.get(name, _DOOR)} for name in ours),
        ]
        super().sync_roles()

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """What the identity provider says of somebody, from the ID token that it signed.

        Groups that are not in the token are asked for at its userinfo endpoint, which must speak of
        the same person.
        """
        settings = get_settings()
        claims = dict(resp.get("userinfo") or {})
        if not claims.get("sub"):
            return {}  # no ID token: whoever it is, nobody has vouched for it
        if settings.oidc_groups_claim not in claims:
            more = self.oauth_remotes[provider].userinfo(token=resp)
            claims = {**more, **claims} if more.get("sub") == claims["sub"] else claims
        given = claims.get(settings.oidc_groups_claim)
        return {
            "username": str(claims.get(settings.oidc_name_claim) or ""),
            "first_name": str(claims.get("given_name") or ""),
            "last_name": str(claims.get("family_name") or ""),
            "email": str(claims.get("email") or ""),
            "role_keys": [str(one) for one in given] if isinstance(given, list) else [],
        }

    def auth_user_oauth(self, userinfo: dict[str, Any], rotate_session_id: bool = True) -> Any:
        """The account of somebody whom the identity provider has logged in.

        A name that has a password here belongs to somebody else: the provider's people could take
        an administrator's account by choosing its name.
        """
        name = userinfo.get("username") or ""
        account = self.find_user(username=name) if name else None
        if account is not None and not check_password_hash(account.password or "", ""):
            _log.warning("login refused: an account with a password has the name already")
            return None
        return super().auth_user_oauth(userinfo, rotate_session_id)
