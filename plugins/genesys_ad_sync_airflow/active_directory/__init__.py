"""Airflow's side of Active Directory: from a connection of type ``active_directory`` to an LDAP session."""
