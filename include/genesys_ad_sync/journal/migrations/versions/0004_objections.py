"""Keep how a poll learned of a change, and the subjects of rejections and undos.

A rejection used to overwrite the reason for which a change was held. It is read from the question now, and the change
gets its own reason back.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ROWS_AT_A_TIME = 500  # SQLite limits the number of parameters


def upgrade() -> None:
    op.add_column("journal_change", sa.Column("evidence", sa.String()))
    op.create_index("journal_change_by_user", "journal_change", ["definition", "user_guid"])
    op.add_column("journal_question", sa.Column("last_change", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("journal_question", sa.Column("account_ended", sa.Boolean()))
    op.add_column("journal_pin", sa.Column("action", sa.String()))
    op.add_column("journal_pin", sa.Column("decided_by", sa.String()))
    connection = op.get_bind()
    change = sa.table(
        "journal_change", sa.column("id", sa.Integer), sa.column("held_reason"), sa.column("settled", sa.Boolean)
    )
    outcome = sa.table("journal_outcome", sa.column("change_id", sa.Integer), sa.column("reason"))
    question = sa.table(
        "journal_question", sa.column("id", sa.Integer), sa.column("decision"), sa.column("change_ids", sa.JSON)
    )
    held = sa.select(change.c.id, change.c.settled).where(change.c.held_reason == "rejected")
    rejected = {row.id: row.settled for row in connection.execute(held)}
    had = _reasons(connection, outcome, list(rejected))
    for change_id in rejected:
        # Where nothing is left that says why a person was asked, one is asked again.
        limits = {"over_limit", "protected", "journal_restored"}
        doubtful = "scope_changed" in had.get(change_id, ()) or limits.isdisjoint(had.get(change_id, ()))
        reason = "scope_changed" if doubtful else None
        connection.execute(sa.update(change).where(change.c.id == change_id).values(held_reason=reason))
    waiting = {change_id for change_id, settled in rejected.items() if not settled}
    for row in connection.execute(
        sa.select(question.c.id, question.c.change_ids).where(question.c.decision == "rejected")
    ).all():
        if waiting.isdisjoint(row.change_ids):  # AD has taken it back, or it was done since
            connection.execute(sa.update(question).where(question.c.id == row.id).values(decision="outdated"))


def _reasons(connection: sa.Connection, outcome: sa.TableClause, change_ids: list[int]) -> dict[int, set[str]]:
    """Return the reasons of the kept outcomes of each change."""
    reasons: dict[int, set[str]] = {}
    for first in range(0, len(change_ids), _ROWS_AT_A_TIME):
        chunk = change_ids[first : first + _ROWS_AT_A_TIME]
        for row in connection.execute(
            sa.select(outcome.c.change_id, outcome.c.reason).where(
                outcome.c.change_id.in_(chunk), outcome.c.reason.is_not(None)
            )
        ):
            reasons.setdefault(row.change_id, set()).add(row.reason)
    return reasons
