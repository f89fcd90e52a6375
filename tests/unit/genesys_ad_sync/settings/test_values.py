"""Checks of single values that need more than an example in `test_settings`."""

from __future__ import annotations

import string
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from pydantic_core import PydanticCustomError

from genesys_ad_sync.errors import SettingsError
from genesys_ad_sync.settings import SyncDefinition, parse_definition, values
from genesys_ad_sync.settings.messages import _model_in
from genesys_ad_sync.settings.values import Section, Write

USUAL_FILTERS = [
    "(objectClass=group)",
    "(&(objectClass=group)(cn=GC-*))",
    "(&(objectCategory=group)(|(cn=Tier 2)(cn=Tier 3))(!(description=no sync)))",
    "(memberOf:1.2.840.113556.1.4.1941:=CN=All,OU=Contact Center,DC=example,DC=com)",
    "(groupType:1.2.840.113556.1.4.803:=2147483648)",
    "(whenCreated>=20200101000000.0Z)",
]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_loading_a_definition_loads_neither_ldap3_nor_sqlalchemy() -> None:
    """Airflow parses the DAG file every few seconds; these two would be most of the time that it takes."""
    usual = "(&(objectClass=group)(cn=GC-*))"
    loaded = run(
        "import sys\n"
        "from genesys_ad_sync.settings import parse_definition\n"
        f'text = \'directory: {{group_base: "DC=example,DC=com", group_filter: "{usual}"}}\'\n'
        "parse_definition(text + '\\ngroups: [{name: a, genesys_name: b}]')\n"
        "print([name for name in ('ldap3', 'sqlalchemy', 'airflow') if name in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("text", USUAL_FILTERS)
def test_a_usual_filter_needs_no_ldap3(text: str) -> None:
    assert values._is_plain_filter(text)
    assert values.ldap_filter(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "(", "()", "(cn=a", "cn=a", "(cn=a))", "(cn=a)(cn=b)", "(&)", "(!(cn=a)(cn=b))", "\0", "(&\0)", "(cn~a)"],
)
def test_what_is_not_a_filter_is_left_to_ldap3_and_refused(text: str) -> None:
    assert not values._is_plain_filter(text)
    with pytest.raises(PydanticCustomError, match="not an LDAP filter"):
        values.ldap_filter(text)


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("(=x)", "name of an attribute"),
        ("( = x)", "name of an attribute"),
        ("(>=x)", "name of an attribute"),
        ("(=*)", "name of an attribute"),
        ("(&(objectClass=group)(=*x*))", "name of an attribute"),
        ("(my name=x)", "name of an attribute"),
        ("(c_n=x)", "name of an attribute"),
        ("(größe=x)", "name of an attribute"),
        ("(cn;=x)", "name of an attribute"),
        ("(cn:1.2.a:=x)", "name of an attribute"),
        (r"(a=\zz)", "backslash"),
        (r"(a=x\2)", "backslash"),
        ("(a=x\\)", "backslash"),
        (r"(&(objectClass=group)(cn=GC\-*))", "backslash"),
    ],
)
def test_a_filter_that_ldap3_lets_pass_and_no_domain_controller_understands_is_refused(text: str, flaw: str) -> None:
    """Else the definition is accepted, and each poll fails, or matches nothing."""
    with pytest.raises(PydanticCustomError, match=flaw):
        values.ldap_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        r"(cn=Caf\c3\a9)",
        " ( cn = a ) ",
        "(cn=Größe)",
        "(cn:dn:=a)",
        r"(cn=\28x\29\2A\5c)",
        "(2.5.4.3=a)",
        "(cn;lang-de=a)",
        "(:dn:2.5.13.5:=a)",
        "(description=*)",
    ],
)
def test_an_unusual_filter_is_accepted_as_ldap3_does(text: str) -> None:
    assert values.ldap_filter(text) == text


items = st.builds(
    "({}{}{})".format,
    st.from_regex(r"[A-Za-z][A-Za-z0-9-]*", fullmatch=True),
    st.sampled_from(["=", ">=", "<=", "~=", ":=", ":1.2.3:=", ":dn:="]),
    st.text(string.ascii_letters + string.digits + '*.,=:@+- ü\\"&|!<>~', max_size=8),
)
filters = st.recursive(
    items,
    lambda inner: st.one_of(
        st.builds("(&{})".format, st.lists(inner, min_size=1, max_size=3).map("".join)),
        st.builds("(|{})".format, st.lists(inner, min_size=1, max_size=3).map("".join)),
        st.builds("(!{})".format, inner),
    ),
    max_leaves=8,
)


@given(filters | st.text("()&|!=*a\0 ", max_size=12))
@settings(max_examples=500, deadline=None)
def test_every_filter_that_is_recognised_without_ldap3_is_one_for_ldap3(text: str) -> None:
    if values._is_plain_filter(text):
        compile_filter(parse_filter(text, None, True, None, None, False).elements[0])


def sections(section: type[Section] = SyncDefinition) -> list[type[Section]]:
    inner = [found for field in section.model_fields.values() if (found := _model_in(field.annotation))]
    return [section, *(found for each in inner if issubclass(each, Section) for found in sections(each))]


def test_every_key_says_what_it_means_and_what_to_write() -> None:
    assert len(sections()) == 10
    for section in sections():
        for key, field in section.model_fields.items():
            assert (field.description or "").endswith("."), f"{section.__name__}.{key} has no description"
            assert Write.of(field) != Write(), f"{section.__name__}.{key} does not say what to write"


BASE = """
directory: {group_base: "OU=Contact Center,DC=example,DC=com"}
groups: [{name: "%s", genesys_name: "x"}]
"""


@pytest.mark.parametrize("expression", ["(" * 3000 + ")" * 3000, "GC-.{4294967295}"])
def test_an_expression_that_python_cannot_compile_is_an_error_of_its_key(expression: str) -> None:
    with pytest.raises(SettingsError, match=r"groups\[0\].name"):
        parse_definition(BASE % expression)


@pytest.mark.parametrize(
    "text",
    [
        "limits: {answer_within: P999999999D}",
        "limits: {answer_within: P9000Y}",
        "report: {keep_days: 999999}",
        "report: {keep_days: 99999999999}",
    ],
)
def test_no_time_leads_out_of_the_calendar(text: str) -> None:
    """Else a run ends with an OverflowError, after it has written."""
    with pytest.raises(SettingsError, match=r"longer than ten years|from 1 to 36500"):
        parse_definition(f"{BASE % 'GC-.+'}\n{text}")


def test_reports_may_be_kept_for_a_hundred_years() -> None:
    kept = parse_definition(f"{BASE % 'GC-.+'}\nreport: {{keep_days: 36500}}").report.keep_days
    assert datetime(2026, 1, 1, tzinfo=timezone.utc) - timedelta(days=kept) < datetime(1927, 1, 1, tzinfo=timezone.utc)
