#!/bin/sh
# The tests on every Python from 3.10 to 3.13 that is found: on the PATH, under pyenv, or as $PYTHON.
# Each has an environment of its own, .venv-X.Y; its output goes to build/test-X.Y.log.
set -u
cd "$(dirname "$0")/.."
mkdir -p build
failed=""
tried=""
for version in 3.10 3.11 3.12 3.13; do
    found=""
    for candidate in "${PYTHON:-}" "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
        [ -n "$candidate" ] || continue
        is="$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" || continue
        if [ "$is" = "$version" ]; then
            found="$candidate"
            break
        fi
    done
    if [ -z "$found" ]; then
        echo "Python $version: not found"
        continue
    fi
    tried="$tried $version"
    log="build/test-$version.log"
    if make VENV=".venv-$version" PYTHON="$found" test >"$log" 2>&1; then
        echo "Python $version: $(tail -n 1 "$log")"
    else
        echo "Python $version: FAILED, see $log"
        failed="$failed $version"
    fi
done
[ -n "$tried" ] && [ -z "$failed" ]
