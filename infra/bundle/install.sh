#!/bin/sh
# Installs CityLedger from this folder, with no registry: the packages lie in wheels/.
#   ./install.sh            then: .venv/bin/cityledger demo
# PYTHON=python3.11 ./install.sh chooses an interpreter.
set -eu
cd "$(dirname "$0")"
PYTHON="${PYTHON:-python3}"
wanted=$(ls wheels | sed -n 's/^duckdb-.*-cp3\([0-9]*\)-.*/3.\1/p' | head -n 1)
found=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$found" != "$wanted" ]; then
    echo "this bundle is for Python $wanted, $PYTHON is $found: PYTHON=python$wanted ./install.sh" >&2
    exit 2
fi
echo "1/4 checking every file"
if ! sha256sum --check --quiet --strict SHA256SUMS; then
    echo "the bundle is damaged: copy it again" >&2
    exit 1
fi
echo "2/4 creating .venv"
"$PYTHON" -m venv .venv || { echo "python3 -m venv failed: install your system's venv package" >&2; exit 1; }
# Settings of this machine's pip and uv name registries; none of them is asked.
export PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export UV_NO_CONFIG=1 UV_OFFLINE=1 UV_NO_INDEX=1 UV_FIND_LINKS="$PWD/wheels" UV_NO_CACHE=1 UV_LINK_MODE=copy
unset PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS UV_INDEX_URL UV_EXTRA_INDEX_URL UV_INDEX UV_DEFAULT_INDEX || true
sed -n '/^uv==/,/[^\\]$/p' requirements.lock > .venv/uv.txt
.venv/bin/pip install --quiet --find-links wheels --require-hashes --no-deps -r .venv/uv.txt
echo "3/4 installing the packages, hashes checked"
.venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements.lock
echo "4/4 installing CityLedger"
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e .
# The Makefile's mark: its targets take this environment as it is.
touch .venv/.installed
echo "done: .venv/bin/cityledger demo"
