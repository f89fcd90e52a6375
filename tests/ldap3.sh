#!/usr/bin/env bash
# Runs tests with several versions of ldap3, and says of each whether it can be used: `make test-ldap3`.
#
# LDAP3="2.9.1 2.10.2rc4" names the versions. Only ldap3 differs: each lies in a folder of its own, before the rest of the
# environment. The arguments are for pytest.
# A version that the product refuses at run time is not tested: nothing could log in. It is an error if requirements.txt
# allows a version that is refused or fails. One that they do not allow fails nothing, whatever its result.
# What was found to differ is in docs/reference/active-directory.md, section 4.
set -euo pipefail
cd "$(dirname "$0")/.."

UV="${UV:-.venv/bin/uv}"
PYTHON="${PYTHON:-.venv/bin/python}"
results=()
failed=0

# Prints three lines: the version that Python loads, whether requirements.txt allows it, and why the product refuses it.
look() {
    "$PYTHON" - <<'PYTHON'
from pathlib import Path

import ldap3
from packaging.requirements import Requirement

from genesys_ad_sync.directory.ldap_library import require_usable_library
from genesys_ad_sync.errors import SettingsError

lines = Path("requirements.txt").read_text(encoding="utf-8").splitlines()
(wanted,) = [Requirement(line) for line in lines if line.startswith("ldap3")]
print(ldap3.__version__)
print("allowed" if wanted.specifier.contains(ldap3.__version__, prereleases=True) else "not allowed")
try:
    require_usable_library()
    print()
except SettingsError as error:
    print(error)
PYTHON
}

for version in ${LDAP3:-2.9.1}; do
    folder="$PWD/.venv-ldap3-$version"
    echo "== ldap3 $version"
    rm -rf "$folder"
    "$UV" pip install -q --prerelease allow -p "$PYTHON" --target "$folder" "ldap3==$version"
    export PYTHONPATH="$folder:$PWD/include:$PWD/plugins:$PWD"
    looked="$(look 2>/dev/null)" || looked=""
    { read -r loaded; read -r allowed; read -r refusal; } <<<"$looked" || true
    if [ "${loaded:-nothing}" != "$version" ]; then
        verdict="FAILED: Python loads ${loaded:-nothing} in its place"
        failed=1
    elif [ -n "$refusal" ]; then
        verdict="$allowed, refused by the product, not tested: $refusal"
        [ "$allowed" = "not allowed" ] || failed=1
    else
        log="$folder/tests.log"
        if "$PYTHON" -m pytest -q -n "${WORKERS:-4}" --dist loadgroup -p no:cacheprovider "$@" 2>&1 | tee "$log"; then
            verdict="$allowed, usable: $(tail -n 1 "$log")"
        else
            verdict="$allowed, FAILED: $(tail -n 1 "$log")"
            [ "$allowed" = "not allowed" ] || failed=1
        fi
    fi
    results+=("$(printf '%-10s %s' "$version" "$verdict")")
done

echo
echo "Directory tests by version of ldap3:"
printf '  %s\n' "${results[@]}"
exit "$failed"
