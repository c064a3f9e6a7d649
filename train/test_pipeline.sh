#!/usr/bin/env bash
# Keeps the way from text to image alive: the tests of train/, then a toy of a few steps whose image
# must give the engine the loss and the logits of the training code.
#
# Usage: train/test_pipeline.sh [MOTE]
#
# MOTE: the program (default: build/release/host/mote). PYTHON: a Python with PyTorch, numpy and
# sentencepiece (default: Debian's).
set -euo pipefail
cd "$(dirname "$0")/.."

export MOTE=${1:-build/release/host/mote}
export PYTHONPATH=train PYTHONDONTWRITEBYTECODE=1
python=${PYTHON:-/usr/bin/python3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

"$python" -m unittest discover -s train/tests -t train -p 'test_*.py'
"$python" -m mote_train.toy --steps 5 --out "$out" --mote "$MOTE"
