"""Switches for what the reference leaves open about Genesys Cloud, and for tests.

Each default is the strictest reading of `reference/genesys-cloud-api.md`: a client that gets along with it gets along
with the milder readings too. Marks as there: [V] documented, [U] unknown.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

ALL_PERMISSIONS = ("directory:group:edit", "directory:group:view", "directory:user:edit", "directory:user:view")

MemberPolicy = Literal["refuse", "ignore", "accept"]


@dataclass
class SandboxOptions:
    """All may be changed while the sandbox runs.

    Times are in seconds; ``None`` as a limit means: no limit.
    """

    # -- OAuth ---------------------------------------------------------------------------------------------------
    token_valid_seconds: float = 86400  # [V] default of a client; 300 to 172800 in real life
    bad_client_status: Literal[400, 401] = 401  # [S] either is seen
    address_is_allowed: bool = True  # False: the client's list of allowed IP addresses lacks the caller's (403)
    token_requests_per_window: int | None = None  # [U] the number; [V] that excess is a 400 invalid_request
    permissions: tuple[str, ...] = ALL_PERMISSIONS  # of the OAuth client's roles
    members_need_permission: bool = True  # writing members needs directory:group:edit (annotated "none", practised so)

    # -- rate limit ----------------------------------------------------------------------------------------------
    rate_allowed: int | None = 300  # requests per token and window; None: no rate limit and no headers
    rate_window: float = 60.0
    rate_headers: Literal["success", "always", "never"] = "success"  # [V] for success
    scim_rate_allowed: int | None = None  # [U] SCIM's own limit, per token and window
    scim_rate_headers: bool = False  # [U] its answers' headers speak of that limit, not of the token's

    # -- paging --------------------------------------------------------------------------------------------------
    max_page_size: int = 500  # [V] 500 works; above [U]
    members_max_page_size: int = 500  # [U]
    search_max_page_size: int | None = 100  # [U]; 100 is the largest seen
    search_max_values: int | None = 50  # [U]
    max_user_ids: int | None = 100  # [V] "Only 100 users can be requested at a time."
    inactive_users_cap: int | None = 10_000  # [V] by Terraform
    individuals_paging: Literal["refuse", "ignore"] = "refuse"  # what paging params on /individuals do [U]
    private_groups: tuple[str, ...] = ()  # ids: not listed, as for a client without Private Group > View [S]
    totals_count_hidden: bool = False  # [U] whether the `total` of a listing counts them
    individuals_limit: int | None = None  # [U] whether all are returned; `total` still tells the whole number
    individuals_states: tuple[str, ...] = ("active", "inactive")  # [U] whether inactive members are listed

    # -- search and expand ---------------------------------------------------------------------------------------
    search_default_states: tuple[str, ...] = ("active",)  # [U] when no criterion names `state`
    search_exact: Literal["ignore_case", "match_case", "analysed"] = "ignore_case"  # "analysed" finds others, too [U]
    search_refuses: tuple[str, ...] = ()  # [U] texts: a search for a value with one of them is answered with 400
    expand_groups: Literal["always", "sometimes", "never"] = "always"  # [V] best effort; "sometimes": half of the users
    expand_groups_includes_rules: bool = False  # [U] rule-included memberships in a user's `groups`

    # -- writes --------------------------------------------------------------------------------------------------
    max_members_per_request: int = 50  # [V]
    conflict: Literal["409", "400"] = "409"  # 400: with the same message, "from directory"
    version_step: int = 1  # [U]
    version_bump: Literal["per_request", "per_member"] = "per_request"  # [U]
    unchanged_bumps_version: bool = False  # [U] a write that changes nothing
    unknown_member: MemberPolicy = "refuse"  # [U]
    deleted_member: MemberPolicy = "refuse"  # [U]
    inactive_member: MemberPolicy = "accept"  # [U]
    refuse_member_status: Literal[400, 404] = 400  # [U]
    member_already_there: Literal["ignore", "refuse"] = "ignore"  # [U] idempotence of an add
    member_not_there: Literal["ignore", "refuse"] = "ignore"  # [U] idempotence of a remove
    max_groups_per_user: int | None = 100  # [V] help: 100 official + 100 social
    dynamic_group_writes: Literal["accept", "refuse"] = "accept"  # [U] on groups with dynamicsettings
    forbidden_groups: tuple[str, ...] = ()  # ids: their members may be read and not written (403), as by a division [S]
    failing_groups: tuple[str, ...] = ()  # ids: each write of their members fails (500)
    user_patch_groups: Literal["honoured", "ignored", "rejected"] = "ignored"  # [U]

    # -- SCIM ----------------------------------------------------------------------------------------------------
    scim_filter_required: bool = True  # marked required, yet described as "If nothing is specified, returns all groups"
    scim_filter_external_id: bool = False  # only id and displayName are documented
    scim_large_pages: Literal["accept", "refuse"] = "accept"  # [V] count over 25 "may … return a 429"
    scim_members: Literal["individuals", "all"] = "individuals"  # [U] what `members` of a SCIM group holds
    scim_bare_remove: Literal["empty", "honour_values", "refuse"] = "empty"  # a remove whose path is `members` [U]
    scim_max_operations: int | None = None  # [U]
    scim_max_member_values: int | None = None  # [U] per request, over all its operations
    scim_gateway_errors: Literal["scim", "error_body"] = "scim"  # [U] shape of 401, 403 and 429 on SCIM paths

    # -- the sandbox itself --------------------------------------------------------------------------------------
    log_limit: int = 100_000  # requests kept in the log

    def update(self, values: dict[str, Any]) -> None:
        """Set some options. Raises ``ValueError`` for an unknown name."""
        known = {field.name: field for field in dataclasses.fields(self)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"no such option: {', '.join(unknown)}")
        for name, value in values.items():
            setattr(self, name, tuple(value) if isinstance(value, list) else value)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SandboxOptions:
        options = cls()
        options.update(values)
        return options

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)
