"""How many requests a run sends, beside the possible minimum and the naive way.

    python -m benchmarks.requests [a b c d] [--groups 200]

Every number is counted in the sandbox's own log.

Lower bound (reference/genesys-cloud-api.md, §9): token 1; users min(U/500, N/50), where N is everybody or, where links
are known, those to be added: adds go to active users only, and no link shows that; groups G/500; one read of the
individuals per group with something to do; writes by strategy. Verify: one read per written group, shown apart.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.synthetic import CONNECTION, SyntheticRuns, be_quiet, genesys_seed, group_id, user_id
from genesys_ad_sync_airflow.genesys_cloud.hook import GenesysCloudHook
from genesys_ad_sync_airflow.genesys_cloud.oauth import ProcessTokenStore
from sandbox.genesys_cloud import SandboxClient, SandboxOptions, spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STRATEGIES = ("scim_patch", "group_members", "user_patch")
GROUPS, HALF = 200, 25  # of each group's changes, 25 are adds and 25 removes
PER_GROUP = 100  # users for each group; half of them are its members
MOST_TIMES_THE_BOUND, FEW, LEAST_TIMES_FEWER = 1.05, 5, 30  # what is claimed; so FEW requests are never too many

Members = dict[int, set[int]]


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    before: Members  # Genesys has
    after: Members  # AD has
    linked: bool  # a run before has compared everything, so links and baselines are there
    mapped: int
    users: int

    @property
    def adds(self) -> dict[int, set[int]]:
        return {g: self.after[g] - self.before[g] for g in self.after if self.after[g] - self.before[g]}

    @property
    def removes(self) -> dict[int, set[int]]:
        return {g: self.before[g] - self.after[g] for g in self.after if self.before[g] - self.after[g]}


def cases(groups: int = GROUPS) -> list[Case]:
    """Return the cases, the same in every run.

    Users are dealt out by numbers. Each user that joins a group is in another one already.
    """
    before = {g: set(range(g * PER_GROUP, g * PER_GROUP + 2 * HALF)) for g in range(groups)}
    after: Members = {}
    for g, members in before.items():
        leaving = set(sorted(members)[:HALF])
        joining = set(sorted(before[(g + 1) % groups])[HALF:])
        after[g] = (members - leaving) | joining
    few = dict(after)
    for g in range(5):
        leaving = set(sorted(after[g])[:5])
        few[g] = (after[g] - leaving) | set(sorted(after[g + 50])[:5])
    many = {g: set(range(g * 20, g * 20 + 20)) for g in range(500)}
    users, changes = groups * PER_GROUP, f"{groups * 2 * HALF:,} changes in {groups} groups"
    return [
        Case("a", f"{changes}, cold", before, after, False, groups, users),
        Case("b", "the same, links known", before, after, True, groups, users),
        Case("c", "50 changes in 5 groups", after, few, True, groups, users),
        Case("d", "nothing to do, 500 groups", many, many, True, 500, 500 * 20),
    ]


def bound(case: Case, strategy: str, *, token_known: bool) -> int:
    """Return the fewest requests that the API allows, without verify.

    `user_patch`: the user must be read for its version and its groups, then written.
    """
    adds, removes = case.adds, case.removes
    concerned = adds.keys() | removes.keys()
    whole = not case.linked
    to_find: set[int] = set().union(*(case.after if whole else adds).values())
    users = min(math.ceil(case.users / 500), math.ceil(len(to_find) / 50))
    reads = case.mapped if whole else len(concerned)
    if strategy == "scim_patch":
        writes = sum(math.ceil((len(adds.get(g, ())) + len(removes.get(g, ()))) / 50) for g in concerned)
    elif strategy == "group_members":
        writes = sum(2 * math.ceil(len(of) / 50) - 1 for of in adds.values())
        writes += sum(math.ceil(len(of) / 50) for of in removes.values())
    else:
        writes = 2 * sum(len(of) for part in (adds, removes) for of in part.values())
    return (0 if token_known else 1) + users + math.ceil(case.mapped / 500) + reads + writes


def measure(case: Case, strategy: str) -> dict[str, Any]:
    """Count the requests of one run in the sandbox's log."""
    options = SandboxOptions(rate_allowed=None, user_patch_groups="honoured")
    with spawn(genesys_seed(case.users, case.before), options) as sandbox, tempfile.TemporaryDirectory() as folder:
        runs = SyntheticRuns(
            Path(folder), sandbox.connection(), write=strategy, removals="granted" if case.linked else "mirror"
        )
        with runs:
            if case.linked:
                runs.tell(case.before)
                runs.run()
            sandbox.clear_log()
            runs.tell(case.after)
            document = runs.run()
            log = sandbox.requests()
            check(case, sandbox, document)
            verify = len(reads_after_writing(log))
            return {"sent": len(log) - verify, "verify": verify, "agrees": document["requests"]["total"] == len(log)}


def check(case: Case, sandbox: SandboxClient, document: Mapping[str, Any]) -> None:
    wrong = [g for g, of in case.after.items() if set(sandbox.individuals(group_id(g))) != {user_id(n) for n in of}]
    if wrong or document["failures"]:
        raise AssertionError(f"case {case.name}: {len(wrong)} groups are wrong, {document['failures']} failures")


def reads_after_writing(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the requests of the read-back.

    These are individuals of a group after its last write, and users by id (`user_patch`).
    """
    first_write = min((entry["seq"] for entry in log if entry["method"] in ("PATCH", "DELETE")), default=10**9)
    return [
        entry
        for entry in log
        if entry["method"] == "GET"
        and entry["seq"] > first_write
        and (entry["path"].endswith("/individuals") or (entry["path"] == "/api/v2/users" and "id=" in entry["query"]))
    ]


def naive(case: Case) -> int:
    """Count the requests of a simple script.

    For each change it finds the person and writes the membership.
    """
    options = SandboxOptions(rate_allowed=None, log_limit=200_000)
    with (
        spawn(genesys_seed(case.users, case.before), options) as sandbox,
        tempfile.TemporaryDirectory() as folder,
        SyntheticRuns(Path(folder), sandbox.connection()),
    ):
        hook = GenesysCloudHook(CONNECTION, token_store=ProcessTokenStore())

        def change(item: tuple[int, int, str]) -> None:
            group, number, op = item
            query = [{"type": "EXACT", "fields": ["email"], "value": f"user{number:06d}@example.com"}]
            answer = hook.call("POST", "/api/v2/users/search", json={"query": query}, idempotent=True)
            member = answer.body["results"][0]["id"]
            operation: dict[str, Any] = {"op": "add", "path": "members", "value": [{"value": member}]}
            if op == "remove":
                operation = {"op": "remove", "path": f'members[value eq "{member}"]'}
            body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
            hook.call("PATCH", f"/api/v2/scim/v2/groups/{group_id(group)}", json=body, idempotent=True)

        hook.call("GET", "/api/v2/groups", params={"pageSize": 500})
        items = [(g, n, "add") for g, of in case.adds.items() for n in of]
        items += [(g, n, "remove") for g, of in case.removes.items() for n in of]
        with ThreadPoolExecutor(4) as pool:  # only to be done sooner
            list(pool.map(change, items))
        return hook.request_counts.total


def main(say: Callable[[str], None] = print) -> int:
    be_quiet()
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", default=["a", "b", "c", "d"])
    parser.add_argument("--groups", type=int, default=GROUPS, help="of the cases a to c, at least 55")
    asked = parser.parse_args()
    failed = []
    say(f"{'case':<40}{'strategy':<15}{'sent':>8}{'bound':>8}{'ratio':>8}{'verify':>8}{'naive':>8}{'x fewer':>9}")
    for case in (each for each in cases(asked.groups) if each.name in asked.cases):
        changes = sum(len(of) for part in (case.adds, case.removes) for of in part.values())
        by_naive = naive(case) if case.name in "ac" else 2 + 2 * changes
        for strategy in STRATEGIES:
            got = measure(case, strategy)
            least = bound(case, strategy, token_known=case.linked)
            ratio, fewer = got["sent"] / least, by_naive / got["sent"]
            say(
                f"({case.name}) {case.text:<36}{strategy:<15}{got['sent']:>8}{least:>8}{ratio:>8.3f}{got['verify']:>8}"
                f"{by_naive:>8}{fewer:>9.1f}"
            )
            if not got["agrees"]:
                failed.append(f"{case.name} {strategy}: the report counts other requests than the sandbox")
            if ratio > MOST_TIMES_THE_BOUND and got["sent"] > FEW:
                failed.append(f"{case.name} {strategy}: {ratio:.3f} times the bound, more than {MOST_TIMES_THE_BOUND}")
            if case.name == "d" and got["sent"] > FEW:
                failed.append(f"d {strategy}: {got['sent']} requests, more than {FEW}")
            if case.name == "a" and strategy == "scim_patch" and fewer < LEAST_TIMES_FEWER:
                failed.append(f"a: only {fewer:.1f} times fewer than naive, less than {LEAST_TIMES_FEWER}")
    for text in failed:
        say(f"NOT MET: {text}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
