#!/usr/bin/env bash
# What rounding with a calibration text keeps: the table of docs/QUANTISATION.md.
#
# Usage: scripts/calibration_table.sh [SHARED_DIR]
#
# SHARED_DIR (default ../shared) holds models/stories260K.bin, models/babyllama-0.9M.bin, their
# tokenizers and data/tinystories_{train,eval}.txt. MOTE names the program (default
# build/release/host/mote). It takes some minutes a row.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ $# -le 1 && ${1-} != -* ]] || {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/calibration_table.sh >&2
  exit 2
}
shared=${1:-../shared}
mote=${MOTE:-build/release/host/mote}
[ -x "$mote" ] || {
  echo "calibration_table: $mote is missing: build the preset release first" >&2
  exit 1
}
[ -d "$shared" ] || {
  echo "calibration_table: skipped, $shared is absent"
  exit 0
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
head -c 100000 "$shared/data/tinystories_train.txt" >"$dir/text.txt"

# row LABEL MODEL TOKENIZER FP32 OPTION...: converts and prints one row.
row() {
  local label=$1 model=$2 tokenizer=$3 fp32=$4
  shift 4
  "$mote" convert "$shared/models/$model" --tokenizer "$shared/models/$tokenizer" \
    -o "$dir/m.mote" --json "$@" >"$dir/report.json"
  "$mote" perplexity -m "$dir/m.mote" -f "$shared/data/tinystories_eval.txt" --json \
    >"$dir/perplexity.json" 2>/dev/null
  python3 - "$label" "$fp32" "$dir" <<'PYTHON'
import json, sys
label, fp32, folder = sys.argv[1], float(sys.argv[2]), sys.argv[3]
report = json.load(open(folder + "/report.json"))
found = json.load(open(folder + "/perplexity.json"))["perplexity"]
matrices = [t for t in report["tensors"] if t["rows"] != 0]
weights = sum(t["rows"] * t["columns"] for t in matrices)
bits = 8 * sum(t["bytes"] for t in matrices) / weights
numbers = sum(t["rows"] * t["columns"] * (8 if t["format"] == "int8" else 4) for t in matrices)
print(f"| {label} | {report['image_bytes']:,} | {bits:.2f} | {numbers / weights:.2f} | "
      f"{found:.4f} | {100 * (found / fp32 - 1):+.2f} % |", flush=True)
PYTHON
}

# rows NAME MODEL TOKENIZER FP32
rows() {
  local name=$1
  shift
  row "$name, int4, plain" "$@" --weights int4
  row "$name, int4, error-compensated" "$@" --weights int4 --calibrate "$dir/text.txt" --steps 0
  row "$name, int4, calibrated" "$@" --weights int4 --calibrate "$dir/text.txt"
  row "$name, mixed, 5 bits" "$@" --weights mixed --bits 5 --calibrate "$dir/text.txt"
}

echo "| model | image, bytes | bits a weight | of these numbers | perplexity | against fp32 |"
echo "|---|---|---|---|---|---|"
rows stories260K stories260K.bin tok512.bin 3.9463
rows babyllama babyllama-0.9M.bin tok105.bin 2.1453
