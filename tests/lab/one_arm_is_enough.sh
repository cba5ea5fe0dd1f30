#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# One interface in both networks: everything leaves where it came in (XDP_TX).
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --servers 5 --arms 1
service rr 5

is "the director has one interface" "${devices[*]}" eth0
is "50 requests: 10 for each of 5 servers" "$(visits 50)" "$(each 10 1 2 3 4 5)"
files=$lab_data-$lab/files
head -c 30000000 /dev/urandom >"$files/stream"
is "30 MB from a server arrive unchanged" \
  "$(client curl -sS --max-time 60 "http://$vip/files/stream" | sha256sum)" \
  "$(sha256sum <"$files/stream")"
client curl -sS --max-time 60 -o /dev/null -T "$files/stream" \
  "http://$vip/upload/stream"
is "30 MB to a server arrive unchanged" \
  "$(cat "$lab_data-$lab"/upload/*/stream | sha256sum)" \
  "$(sha256sum <"$files/stream")"
is "nothing was redirected" "$(ending '^redirect_')" 0
check "both directions left by XDP_TX" \
  test "$(ending '^tx_client_to_dest')" -gt 100 -a \
  "$(ending '^tx_dest_to_client')" -gt 100
check_balance
end
