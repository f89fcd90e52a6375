"""The sync definition is a YAML file.

It says what is read, how AD maps to Genesys Cloud, and what is allowed. Knows neither Airflow nor any server; it only
reads files.
"""

from genesys_ad_sync.settings.definition import (
    CONFIG_FOLDER_VARIABLE,
    DAG_ID,
    DEFAULT_NAME,
    FULL_SUFFIX,
    SPARE_ACTIVE_RUNS,
    SyncDefinition,
    dag_id_of,
)
from genesys_ad_sync.settings.files import (
    CONFIG_FOLDER_NAME,
    config_folder,
    dag_id_of_broken,
    dag_ids_of,
    find_definitions,
    load_definition,
    parse_definition,
    read_definition,
)
from genesys_ad_sync.settings.notify import AirflowSettings, NotifySettings
from genesys_ad_sync.settings.rights import refuse_shared_file, refuse_shared_folder
from genesys_ad_sync.settings.rules import GroupRule, UserRule, fill
from genesys_ad_sync.settings.sections import (
    DirectorySettings,
    ExcludeSettings,
    GenesysSettings,
    Limits,
    ReportSettings,
)
from genesys_ad_sync.settings.values import Write

__all__ = [
    "CONFIG_FOLDER_NAME",
    "CONFIG_FOLDER_VARIABLE",
    "DAG_ID",
    "DEFAULT_NAME",
    "FULL_SUFFIX",
    "SPARE_ACTIVE_RUNS",
    "AirflowSettings",
    "DirectorySettings",
    "ExcludeSettings",
    "GenesysSettings",
    "GroupRule",
    "Limits",
    "NotifySettings",
    "ReportSettings",
    "SyncDefinition",
    "UserRule",
    "Write",
    "config_folder",
    "dag_id_of",
    "dag_id_of_broken",
    "dag_ids_of",
    "fill",
    "find_definitions",
    "load_definition",
    "parse_definition",
    "read_definition",
    "refuse_shared_file",
    "refuse_shared_folder",
]
