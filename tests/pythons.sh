#!/usr/bin/env bash
# Runs the unit tests on each Python that the package claims: `make test-pythons`.
#
# Interpreters are found on the PATH and below pyenv's folder, or named: PYTHONS="/opt/py/bin/python3.13 …".
# One that is missing is said at the end; it fails nothing, unless no interpreter was found at all.
set -euo pipefail
cd "$(dirname "$0")/.."

UV="${UV:-.venv/bin/uv}"
results=()
failed=0
ran=0

runs() { "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$2')" >/dev/null 2>&1; }

find_python() { # find_python 3.12: prints the interpreter's path, or nothing
    local candidate
    for candidate in ${PYTHONS:-} "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/"python$1"; do
        # a name on the PATH may be a shim that does not run
        if runs "$candidate" "$1"; then command -v "$candidate"; return; fi
    done
}

for version in 3.10 3.11 3.12 3.13; do
    python="$(find_python "$version")"
    if [ -z "$python" ]; then
        results+=("$version  MISSING on this machine: not tested")
        continue
    fi
    venv=".venv-$version"
    echo "== Python $("$python" -c 'import platform; print(platform.python_version())'): installing into $venv"
    "$UV" venv -q --clear --python "$python" "$venv"
    "$UV" pip sync -q --require-hashes --compile-bytecode -p "$venv/bin/python" requirements-dev.lock
    "$UV" pip install -q --no-deps --no-build-isolation -p "$venv/bin/python" -e .
    log="$venv/unit-tests.log"
    ran=$((ran + 1))
    if "$venv/bin/pytest" -q -n auto -p no:cacheprovider tests/unit "$@" 2>&1 | tee "$log"; then
        results+=("$version  $(tail -n 1 "$log")")
    else
        failed=1
        results+=("$version  FAILED: $(tail -n 1 "$log")")
    fi
done

echo
echo "Unit tests by Python version:"
printf '  %s\n' "${results[@]}"
[ "$ran" -gt 0 ] || { echo "No Python 3.10 to 3.13 was found: set PYTHONS to the paths of interpreters." >&2; exit 1; }
exit "$failed"
