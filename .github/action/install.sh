#!/usr/bin/env bash
# Installs s5-grade and the CPU build of PyTorch into an environment of their own, and says where.
#   S5_PYTHON   the interpreter to make it from
#   S5_VERSION  a release, or an address that pip understands; empty for the source that this file belongs to
set -euo pipefail

home="$RUNNER_TEMP/s5-grade"
case "$S5_VERSION" in
  "") wanted="$GITHUB_ACTION_PATH" ;;
  *://*) wanted="s5-grade @ $S5_VERSION" ;;
  *) wanted="s5-grade==$S5_VERSION" ;;
esac

# The workspace is a stranger's: from there `python -m pip` would run a pip.py that it holds. -I leaves it out, too.
cd "$RUNNER_TEMP"
"$S5_PYTHON" -I -m venv "$home/environment"
"$home/environment/bin/python" -I -m pip install --quiet --no-input --disable-pip-version-check \
  --cache-dir "$home/downloads" --constraint "$GITHUB_ACTION_PATH/constraints.txt" \
  --extra-index-url https://download.pytorch.org/whl/cpu "$wanted"

{
  echo "python=$home/environment/bin/python"
  echo "command=$home/environment/bin/s5-grade"
} >> "$GITHUB_OUTPUT"
