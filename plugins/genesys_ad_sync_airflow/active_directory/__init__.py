"""The Airflow connection type ``active_directory``: from a connection to a bound LDAP session. Nothing of groups."""
