"""Write strategies and user keys: what each costs, and how values are compared."""

from __future__ import annotations

import pytest

from genesys_ad_sync.model import GenesysUser, UserKey, WriteStrategy

ANN = GenesysUser("u1", "Ann", "Ann@example.com", "ann@corp.example.com", "active")


@pytest.mark.parametrize(
    ("strategy", "adds", "removals", "requests"),
    [
        (WriteStrategy.SCIM_PATCH, 0, 0, 2),
        (WriteStrategy.SCIM_PATCH, 50, 0, 3),
        (WriteStrategy.SCIM_PATCH, 50, 1, 4),
        (WriteStrategy.GROUP_MEMBERS, 50, 0, 4),
        (WriteStrategy.GROUP_MEMBERS, 51, 51, 8),
        (WriteStrategy.GROUP_MEMBERS, 0, 51, 4),
        (WriteStrategy.USER_PATCH, 3, 4, 23),
    ],
)
def test_the_requests_of_a_group_depend_on_the_strategy(
    strategy: WriteStrategy, adds: int, removals: int, requests: int
) -> None:
    assert strategy.requests_for(adds, removals) == requests


def test_only_user_patch_is_read_back_whatever_the_definition_says() -> None:
    assert [strategy for strategy in WriteStrategy if strategy.always_verified] == [WriteStrategy.USER_PATCH]


def test_the_enums_read_like_the_values_of_the_definition() -> None:
    assert [f"{strategy}" for strategy in WriteStrategy] == ["scim_patch", "group_members", "user_patch"]
    assert [f"{key}" for key in UserKey] == ["email", "username", "external_id"]
    assert {"email": 1}[UserKey.EMAIL] == 1


def test_a_user_carries_mail_and_user_name_but_no_external_id() -> None:
    assert [key.of(ANN) for key in UserKey] == ["Ann@example.com", "ann@corp.example.com", None]
    assert [key for key in UserKey if key.needs_authority] == [UserKey.EXTERNAL_ID]


def test_only_external_ids_are_case_sensitive() -> None:
    assert [key.normalise(" Ann@Example.com ") for key in UserKey] == [
        "ann@example.com",
        "ann@example.com",
        " Ann@Example.com ",
    ]
