"""The sync definition: the YAML file that says what is read, how AD maps to Genesys Cloud, and what is allowed."""

from genesys_ad_sync.settings.definition import *  # noqa: F403
