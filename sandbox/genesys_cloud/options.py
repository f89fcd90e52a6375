"""Switches for what the reference leaves open about Genesys Cloud, and for tests.

Each default is the strictest reading of `reference/genesys-cloud-api.md`: a client that gets along with it gets along
with the milder readings too. Marks as there: [V] documented, [U] unknown.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

PRIVATE_GROUPS = "directory:privateGroup:view"
"""Shows groups that only their members or owners find. [V] The name is that of `Directory > PrivateGroup > View`."""

ALL_PERMISSIONS = ("directory:group:edit", "directory:group:view", "directory:user:edit", "directory:user:view")
"""Those that writing memberships takes, in whatever way. Private groups take one more."""

MemberPolicy = Literal["refuse", "ignore", "accept"]
"""``ignore``: the request is answered like a success, and nothing happens."""


@dataclass
class SandboxOptions:
    """All may be changed while the sandbox runs.

    Times are in seconds; ``None`` as a limit means: no limit.
    """

    # -- OAuth ---------------------------------------------------------------------------------------------------
    token_valid_seconds: float = 86400  # [V] default of a client; 300 to 172800 in real life
    bad_client_status: Literal[400, 401] = 401  # [S] either is seen
    address_is_allowed: bool = True  # False: the client's list of allowed IP addresses lacks the caller's (403) [V]
    address_checked_at: Literal["both", "token", "api"] = "both"  # [U] where a request is denied
    token_requests_per_window: int | None = None  # [U] the number; [V] that excess is a 400 invalid_request
    permissions: tuple[str, ...] = ALL_PERMISSIONS  # of the OAuth client's roles
    members_need_permission: bool = True  # writing members needs directory:group:edit (annotated "none", practised so)

    # -- rate limit ----------------------------------------------------------------------------------------------
    rate_allowed: int | None = 300  # requests per token and window; None: no rate limit and no headers
    # [V] that services have limits of their own for the whole organisation; [U] which, and their numbers. By the
    # beginning of a path: requests per window, as in {"/api/v2/scim/": 60, "/api/v2/users/search": 100}
    family_rate_allowed: dict[str, int] = field(default_factory=dict)
    family_rate_headers: bool = False  # [U] their answers' headers speak of that limit, not of the token's
    rate_window: float = 60.0
    rate_headers: Literal["success", "always", "never"] = "success"  # [V] for success

    # -- paging --------------------------------------------------------------------------------------------------
    max_page_size: int = 500  # [V] 500 works; above [U]
    members_max_page_size: int = 500  # [U]
    search_max_page_size: int | None = 100  # [U]; 100 is the largest seen
    search_max_values: int | None = 50  # [U]
    max_user_ids: int | None = 100  # [V] "Only 100 users can be requested at a time."
    inactive_users_cap: int | None = 10_000  # [V] by Terraform
    individuals_paging: Literal["refuse", "ignore"] = "refuse"  # what paging params on /individuals do [U]
    individuals_limit: int | None = None  # [U] whether all are returned; `total` still tells the whole number
    individuals_states: tuple[str, ...] = ("active", "inactive")  # [U] whether inactive members are listed
    owners_in_listing: bool = True  # [U] whether the listing of groups has their `owners`, as one group has

    # -- what the client may not see -----------------------------------------------------------------------------
    private_groups: tuple[str, ...] = ()  # ids of more groups that are not public; see `Group.visibility`
    private_group_by_id: Literal["not_found", "forbidden", "readable"] = "not_found"  # [U] for a client that lacks
    # `PRIVATE_GROUPS`; the listing does not show them to it [V]
    client_divisions: tuple[str, ...] | None = None  # of the client's role; None: all. Others are not seen [S]
    search_divisions: Literal["own", "all"] = "own"  # [V] announced: search can be restricted by division
    individuals_divisions: Literal["own", "all"] = "own"  # [U] whether members of other divisions are listed
    member_of_other_division: MemberPolicy = "refuse"  # [U] adding or removing such a user
    totals_count_hidden: bool = False  # [U] whether `total` counts what is not shown

    # -- deleted users -------------------------------------------------------------------------------------------
    deleted_memberships: Literal["kept", "ended"] = "kept"  # [U] kept: hidden, and there again after a restoration

    # -- search and expand ---------------------------------------------------------------------------------------
    search_default_states: tuple[str, ...] = ("active",)  # [U] when no criterion names `state`
    search_exact: Literal["ignore_case", "match_case", "analysed"] = "ignore_case"  # "analysed" finds others, too [U]
    search_refuses: tuple[str, ...] = ()  # [U] texts: a search for a value with one of them is answered with 400
    expand_groups: Literal["always", "sometimes", "never"] = "always"  # [V] best effort; "sometimes": half of the users
    expand_groups_includes_rules: bool = False  # [U] rule-included memberships in a user's `groups`
    expand_groups_includes_hidden: bool = False  # [U] groups there that the client may not see

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
    missing_groups: tuple[str, ...] = ()  # ids: as above, with 404
    conflicting_groups: tuple[str, ...] = ()  # ids: as above, with the conflict of a stale version, whatever is sent
    failing_groups: tuple[str, ...] = ()  # ids: each write of their members fails (500)
    late_groups: tuple[str, ...] = ()  # ids: each write is carried out and answered with 504
    included_owner_removal: MemberPolicy = "accept"  # [U] removing an owner where owners are included
    user_patch_groups: Literal["honoured", "ignored", "rejected"] = "ignored"  # [U]
    user_patch_hidden_groups: Literal["kept", "lost"] = "kept"  # [U] memberships of groups that the client may not see

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
        known = {known.name for known in dataclasses.fields(self)}
        unknown = sorted(set(values) - known)
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
