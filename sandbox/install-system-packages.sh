#!/bin/sh
# Installs the Debian packages that the sandbox and the tests need, if they are missing.
#   install-system-packages.sh demo    Samba's domain controller
#   install-system-packages.sh test    the same, and PostgreSQL (journal) and Chromium (pages)
#   install-system-packages.sh celery  Samba, PostgreSQL (Airflow and journal) and Redis (broker)
#   install-system-packages.sh fresh   debootstrap, for the proof on a fresh machine
set -eu

# Purpose, package, and a file of it that is used. The file proves the package's presence. Each package is
# named even if another one brings it today: what is only recommended by another is not installed.
packages() {
    cat <<'END'
demo  samba-ad-dc         /usr/sbin/samba
demo  samba-common-bin    /usr/bin/samba-tool
demo  samba-ad-provision  /usr/share/samba/setup/provision.ldif
demo  samba-dsdb-modules  /usr/lib/*/samba/ldb/samldb.so
demo  python3-samba       /usr/lib/python3/dist-packages/samba/samdb.py
demo  ldb-tools           /usr/bin/ldbsearch
demo  ldap-utils          /usr/bin/ldapmodify
test  postgresql          /usr/lib/postgresql/*/bin/initdb
test  chromium            /usr/bin/chromium
test  chromium-driver     /usr/bin/chromedriver
celery postgresql         /usr/lib/postgresql/*/bin/initdb
celery redis-server       /usr/bin/redis-server
fresh debootstrap         /usr/sbin/debootstrap
END
}

wanted() {
    case "$1" in
        demo) packages | grep '^demo ' ;;
        test) packages | grep -e '^demo ' -e '^test ' ;;
        celery) packages | grep -e '^demo ' -e '^celery ' ;;
        fresh) packages | grep '^fresh ' ;;
        *) echo "usage: $0 demo|test|celery|fresh" >&2; exit 2 ;;
    esac
}

there() { # there FILE-PATTERN
    # shellcheck disable=SC2086  # a pattern
    for file in $1; do [ -e "$file" ] && return 0; done
    return 1
}

missing() {
    wanted "$1" | while read -r _ package file; do there "$file" || printf ' %s' "$package"; done
}

fail() {
    echo "Missing on this machine:$(missing "$1")" >&2
    echo "$2" >&2
    exit 1
}

purpose="${1:-demo}"
wanted "$purpose" >/dev/null
packages="$(missing "$purpose")"
[ -n "$packages" ] || exit 0

command -v apt-get >/dev/null 2>&1 || fail "$purpose" \
    "These are Debian's package names. Install what your system calls them, then run make again."
if [ "$(id -u)" = 0 ]; then
    sudo=""
elif command -v sudo >/dev/null 2>&1; then
    sudo="sudo"
else
    fail "$purpose" "Run make as root, or install sudo."
fi

echo "Installing Debian packages:$packages"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# RUNLEVEL=1: Debian starts what it installs. A domain controller or a database of the system is not wanted here.
apt() { $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get "$@" >>"$log" 2>&1; }
# shellcheck disable=SC2086  # a list of words
{ apt update -q && apt install -y -q --no-install-recommends $packages; } || {
    tail -n 20 "$log" >&2
    fail "$purpose" "apt-get could not install them: see its messages above."
}
[ -z "$(missing "$purpose")" ] || fail "$purpose" "apt-get installed them, but their files are not where Debian 12 and 13 have them:
$(wanted "$purpose" | while read -r _ package file; do there "$file" || echo "  $file of $package"; done)"
