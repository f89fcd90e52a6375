#!/usr/bin/env bash
# Runs tests with several versions of ldap3, each in an environment of its own: `make test-ldap3`.
#
# LDAP3="2.9.1 2.10.2rc4" names the versions; everything else is as in the lock file. The arguments are for pytest.
# A candidate (rc) that fails is said, and fails nothing: the requirements do not allow it.
# What was found to differ is in docs/reference/active-directory.md, section 4.
set -euo pipefail
cd "$(dirname "$0")/.."

UV="${UV:-.venv/bin/uv}"
PYTHON="${PYTHON:-.venv/bin/python}"
results=()
failed=0

for version in ${LDAP3:-2.9.1}; do
    venv=".venv-ldap3-$version"
    echo "== ldap3 $version: installing into $venv"
    "$UV" venv -q --clear --python "$PYTHON" "$venv"
    "$UV" pip sync -q --require-hashes --compile-bytecode -p "$venv/bin/python" requirements-dev.lock
    "$UV" pip install -q --prerelease allow -p "$venv/bin/python" "ldap3==$version"
    "$UV" pip install -q --no-deps --no-build-isolation -p "$venv/bin/python" -e .
    log="$venv/tests.log"
    if "$venv/bin/pytest" -q -n "${WORKERS:-4}" --dist loadgroup -p no:cacheprovider "$@" 2>&1 | tee "$log"; then
        results+=("$version  $(tail -n 1 "$log")")
    else
        case "$version" in *rc*) ;; *) failed=1 ;; esac
        results+=("$version  FAILED: $(tail -n 1 "$log")")
    fi
done

echo
echo "Directory tests by version of ldap3:"
printf '  %s\n' "${results[@]}"
exit "$failed"
