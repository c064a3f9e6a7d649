#!/usr/bin/env bash
# From a fresh checkout to a model that tells a story: installs what is missing, builds the tools,
# converts a model and runs it.
#
# Usage: scripts/demo.sh [MODEL TOKENIZER]
#
# MODEL is a checkpoint of llama2.c (such as stories260K.bin or stories15M.bin) and TOKENIZER the
# tokenizer it was trained with (tok512.bin, tokenizer.bin). https://github.com/karpathy/llama2.c
# says where to get them. Without arguments the demo takes stories260K.bin and tok512.bin from
# ../shared/models; where they are missing it runs `mote bench --signature`, which needs no model.
set -euo pipefail
cd_from=$PWD
cd "$(dirname "$0")/.."

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/demo.sh
}

fail() {
  echo "demo: $1" >&2
  exit 1
}

# The argument as the caller meant it, from the folder where the script was started.
input_file() {
  local path=$1
  [[ $path = /* ]] || path=$cd_from/$path
  [ -f "$path" ] || fail "no such file: $1"
  echo "$path"
}

case ${1-} in
-h | --help)
  usage
  exit 0
  ;;
esac
case $# in
0)
  model=../shared/models/stories260K.bin
  tokenizer=../shared/models/tok512.bin
  ;;
2)
  model=$(input_file "$1")
  tokenizer=$(input_file "$2")
  ;;
*)
  usage >&2
  exit 2
  ;;
esac

scripts/install.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "demo: building into build/demo"
{
  cmake --preset release -B build/demo -DMOTE_TESTS=OFF -DMOTE_BENCH=OFF &&
    cmake --build build/demo --target host/mote
} >"$log" 2>&1 || {
  cat "$log" >&2
  fail "the build failed"
}
mote=build/demo/host/mote

# Shows the command, so that the reader can repeat it.
show() {
  echo "\$ $*"
  "$@"
}

if [ ! -f "$model" ] || [ ! -f "$tokenizer" ]; then
  echo "demo: no model at hand (scripts/demo.sh --help says where to get one)"
  show "$mote" bench --signature
  exit 0
fi
image=build/$(basename "$model" .bin).mote
show "$mote" convert "$model" --tokenizer "$tokenizer" -o "$image"
show "$mote" run -m "$image" -p "Once upon a time" -n 200 --temp 0
