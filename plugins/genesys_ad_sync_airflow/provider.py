"""What Airflow asks the installed distribution: which connection types it brings, and their forms.

Airflow registers a connection type only through the ``apache_airflow_provider`` entry point of a distribution whose
name equals ``package-name``; a hook that merely lies in plugins/ registers none. Keys: Airflow's provider_info schema.
"""

from __future__ import annotations

from typing import Any


def _text(label: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"], **schema}}


def _number(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["number", "null"]}}


ACTIVE_DIRECTORY: dict[str, Any] = {
    "connection-type": "active_directory",
    "hook-class-name": "genesys_ad_sync_airflow.active_directory.hook.ActiveDirectoryHook",
    "hook-name": "Active Directory",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {"host": "Domain controllers", "login": "Bind DN or user principal name"},
        "placeholders": {
            "host": "dc1.example.com,dc2.example.com",
            "port": "636",
            "login": "svc-genesys-sync@example.com",
        },
    },
    "conn-fields": {
        "transport": _text(
            "Transport",
            "ldaps (default), starttls, or plain. plain sends the password unencrypted and must be chosen explicitly.",
            enum=["ldaps", "starttls", "plain", None],
            default="ldaps",
        ),
        "ca_certs_file": _text(
            "CA certificates file",
            "PEM file, on every machine that runs tasks, with the CA that issued the domain controllers' certificates. "
            "Empty: the system's own CAs, unless CA certificates are given as text.",
        ),
        "ca_certs": _text(
            "CA certificates",
            "The same as text, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, where a file is not "
            "possible. Line breaks do not matter.",
        ),
        "server_name": _text(
            "Server name in the certificate",
            "Only when the domain controller is addressed by IP or by an alias. One name for all hosts, or one for "
            "each host, separated by commas.",
        ),
        "base_dn": _text(
            "Base DN",
            "DC=example,DC=com. It is only checked to exist: group_base of the sync definition decides what is read. "
            "Empty: no check.",
        ),
        "connect_timeout": _number("Connect timeout", "Seconds. Default 10."),
        "receive_timeout": _number("Receive timeout", "Seconds to wait for an answer. Default 60."),
    },
}

GENESYS_CLOUD: dict[str, Any] = {
    "connection-type": "genesys_cloud",
    "hook-class-name": "genesys_ad_sync_airflow.genesys_cloud.hook.GenesysCloudHook",
    "hook-name": "Genesys Cloud",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "Region", "login": "OAuth client id", "password": "OAuth client secret"},
        "placeholders": {
            "host": "mypurecloud.de or eu-central-1",
            "login": "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
        },
    },
    "conn-fields": {
        "requests_per_minute": _number(
            "Requests per minute",
            "A ceiling of your own, below the one that Genesys Cloud states in each answer. Each task keeps to it "
            "separately: the tasks of a run come one after another, and its parallel patch tasks divide it.",
        ),
        "timeout": _number("Timeout", "Seconds to wait for an answer. Default 30."),
        "transport": _text(
            "Transport",
            "https (default), or plain. plain allows an http:// URL below for another host than this machine, and "
            "sends client secret and token unencrypted.",
            enum=["https", "plain", None],
            default="https",
        ),
        "api_url": _text("API URL", "Only for a proxy or a sandbox, e.g. http://127.0.0.1:8123. No login in it."),
        "login_url": _text("Login URL", "Only for a proxy or a sandbox."),
    },
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata, in the shape of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "genesys-ad-sync",
        "name": "Genesys AD sync",
        "description": "Genesys Cloud group membership from Active Directory.",
        "connection-types": [ACTIVE_DIRECTORY, GENESYS_CLOUD],
        "cli": ["genesys_ad_sync_airflow.cli.airflow_commands.get_genesys_sync_commands"],
    }
