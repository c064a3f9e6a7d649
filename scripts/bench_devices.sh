#!/usr/bin/env bash
# Counts what operations and a whole token take on emulated boards, and prints one table.
#
# Usage: scripts/bench_devices.sh [--model FILE] [--mote PROGRAM] [BOARD...]
#
# Without boards, all of ports/boards.json that scripts/build_ports.sh has built into build/ports
# (MOTE_PORTS_DIR) and whose emulator is here. Each board first compares its kernels with the
# reference; the script fails where one bit differs. Under `-icount` the counts are instructions,
# the same on every run (to about 4 on boards whose timer is coarser than an instruction); rp2040
# counts cycles. Exit status 77 where a board that is named has no emulator here.
#
#   --model   stories260K.bin of llama2.c with tok512.bin beside it, or an image, for the row
#             `token`: a token at position 64; ../shared/models/stories260K.bin unless given, and
#             without the row where that is absent or `none` is given
#   --mote    the host tool that makes the image; build/release/host/mote unless given
#
# Columns: what one run takes; per item, which is a multiply-accumulate of matvec and attention,
# else an element; bytes of weights, or keys and values, per unit; the floor (docs/BENCHMARKS.md
# derives it) and its share of what is counted.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' scripts/bench_devices.sh
  exit 0
fi
exec python3 scripts/bench_devices.py "${MOTE_PORTS_DIR:-build/ports}" "$@"
