#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# 100 MB through the NAT in each direction, alone and both at once: the sums of
# what arrives are the sums of what was sent.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr

files=$lab_data-$lab/files
upload=$lab_data-$lab/upload
head -c 100000000 /dev/urandom >"$files/stream"
sum=$(sha256sum <"$files/stream")

download() {
  client curl -sS --max-time 120 "http://$vip/files/stream" | sha256sum
}

# The server that took it has it; nobody else does.
put() {
  client curl -sS --max-time 120 -o /dev/null -T "$files/stream" \
    "http://$vip/upload/$1"
  cat "$upload"/*/"$1" | sha256sum
  rm -f "$upload"/*/"$1"
}

is "100 MB from a server arrive unchanged" "$(download)" "$sum"
is "and from the next one" "$(download)" "$sum"
is "100 MB to a server arrive unchanged" "$(put alone)" "$sum"

download >"$scratch/down" 2>&1 &
down=$!
put beside >"$scratch/up" 2>&1 &
up=$!
wait "$down" "$up" || true
is "both directions at once: what comes" "$(cat "$scratch/down")" "$sum"
is "both directions at once: what goes" "$(cat "$scratch/up")" "$sum"
rm -f "$files/stream"
check_balance
end
