"""The words of the domain, as types. Pure data: no I/O, no clock, no Airflow."""

from genesys_ad_sync.model.directory import *  # noqa: F403
