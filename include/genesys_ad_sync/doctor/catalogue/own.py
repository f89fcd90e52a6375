"""Lines about Airflow, the sync definition, the journal and the reports."""

from __future__ import annotations

from genesys_ad_sync.doctor.catalogue.entry import Entry, entries_of

AIRFLOW_LINES: dict[str, Entry] = entries_of(
    "Airflow and the sync definition",
    {
        "airflow.definition": (
            "Sync definition",
            "The file is read and checked, and says whether runs write.",
            "Correct the file as the text says.",
        ),
        "airflow.fernet_key": (
            "Fernet key",
            "With it, all tasks share one access token, encrypted in the journal. Airflow encrypts its connections "
            "with it, too.",
            "Set `[core] fernet_key` to the same key on all machines of this Airflow.",
        ),
        "airflow.approvers": (
            "Approvers",
            "Who may answer when a run asks. Airflow's user names are not always known to a task.",
            "Compare `approvers:` with the user names in Airflow, or ask one of them to open Required Actions.",
        ),
        "airflow.notifiers": (
            "Notifiers",
            "The notifiers of `notify:` are installed, and their connections exist. A file `notifiers.py` beside the "
            "definition can be loaded, and returns notifiers. None is sent.",
            "Correct `notify:` or `notifiers.py` as the text says. Until then, nobody is notified.",
        ),
    },
)

JOURNAL_LINES: dict[str, Entry] = entries_of(
    "Journal and reports",
    {
        "reports.path": (
            "Report path",
            "A file is written, read and removed in `report.path`.",
            "Set `report.path` to a folder or bucket that all workers may write to.",
        ),
        "reports.shared": (
            "Reports shared by the workers",
            "A later task finds what an earlier one wrote, on whichever worker it runs.",
            "Set `report.path` to a volume or bucket that all workers share.",
        ),
        "journal.place": (
            "Journal",
            "Its database is reached.",
            "Correct the connection group_sync_journal as the text says.",
        ),
        "journal.tables": (
            "Journal's tables",
            "Their version is that of the installed product. Nothing is upgraded by a check.",
            "Install the newer version of genesys-ad-sync everywhere.",
        ),
        "journal.write": (
            "Journal can be written",
            "A table is made and rolled back.",
            "Give the login the right to create and write tables.",
        ),
        "journal.size": ("Journal's size", "With its indexes.", "Look at the lines above."),
        "journal.shared": (
            "Journal shared by the workers",
            "Every worker must reach the same journal. A SQLite file is for one machine.",
            "Set the connection group_sync_journal to a PostgreSQL database, on all workers.",
        ),
        "journal.identity": (
            "Journal and reports fit",
            "The reports know which journal wrote them. After a loss or a restored backup they do not fit, and "
            "removals ask a person until everything was compared again.",
            "If the journal was moved, set the connection to its new place. Otherwise see “The journal was lost” in "
            "docs/operation.md.",
        ),
    },
)
