#!/bin/sh
# Installs the Debian packages that the sandbox and the tests need, if they are missing.
#   install-system-packages.sh demo   Samba's domain controller
#   install-system-packages.sh test   the same, and PostgreSQL (the journal is tested on it) and Chromium (pages)
set -eu

missing=""
need() { # need COMMAND-OR-FILE PACKAGE
    command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing="$missing $2"
}

PATH="$PATH:/usr/sbin:/sbin"
need samba samba-ad-dc
need samba-tool samba-ad-dc
need ldbadd ldb-tools
need openssl openssl
[ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import samba' 2>/dev/null || missing="$missing python3-samba"
if [ "${1:-demo}" = test ]; then
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
    need chromium chromium
    need chromedriver chromium-driver
fi
[ -n "$missing" ] || exit 0

say_and_leave() {
    echo "Missing on this machine:$missing" >&2
    echo "$1" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || say_and_leave \
    "These are Debian's package names; install what your system calls them (Samba with its AD domain controller, ldb-tools, PostgreSQL, Chromium), then run make again."
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1; then
    sudo="sudo"
else
    say_and_leave "Run as root, or install sudo: apt-get install$missing"
fi

echo "Installing Debian packages:$missing"
# Debian starts what it installs; a domain controller or a database of the system is not wanted here.
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q >/dev/null
# shellcheck disable=SC2086  # a list of words
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends $missing >/dev/null ||
    say_and_leave "apt-get could not install them; its message stands above."
