#!/usr/bin/env bash
# Rewrite constraints.txt with what a new, empty environment gets for the development extra.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]'
{
    echo "# What make installs, pinned. Written by scripts/update_constraints.sh."
    "$scratch/venv/bin/python" -m pip freeze --exclude-editable | LC_ALL=C sort -f
} >"$scratch/constraints.txt"
cp "$scratch/constraints.txt" constraints.txt
