#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The director with one interface and with two, and with either as VLANs of one
# trunk: masquerading and direct routing work in all four, in both families, and
# full frames fit with their tag.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

# wiring WHAT OPTION...
wiring() {
  local what=$1 files either
  shift
  begin --servers 4 --method nat,dr "$@"
  files=$lab_data-$lab/files
  head -c 5000000 /dev/urandom >"$files/stream"
  for either in 4 6; do
    speak "$either"
    service rr 4
    lab_tell_vlans "$lab" "$XLVS_INSTANCE"
    is "$what, IPv$family: 40 requests, 10 for each of 4 servers" \
      "$(visits 40)" "$(each 10 1 2 3 4)"
    is "$what, IPv$family: 5 MB from each server arrive unchanged" \
      "$(for _ in 1 2 3 4; do
        client curl -gsS --max-time 5 "http://$vip/files/stream" | sha256sum
      done | sort -u)" "$(sha256sum <"$files/stream")"
    for _ in 1 2 3 4; do
      client curl -gsS --max-time 5 -o /dev/null -T "$files/stream" \
        "http://$vip/upload/stream"
    done
    is "$what, IPv$family: and to each server" \
      "$(for number in 1 2 3 4; do
        sha256sum <"$lab_data-$lab/upload/$number/stream"
      done | sort -u)" "$(sha256sum <"$files/stream")"
    rm -f "$lab_data-$lab"/upload/*/stream
  done
  # What the kernel sends, a neighbour's first packet, is not the rule.
  check "$what: XDP forwards" test "$(ending '^(tx|redirect)_.*_to_')" -gt 10000
  check_balance
}

wiring "one arm" --arms 1
is "one arm: nothing was redirected" "$(ending '^redirect_')" 0
wiring "two arms"
check "two arms: nearly all went from one to the other" \
  test "$(ending '^redirect_')" -gt 10000
wiring "one tagged arm" --arms 1 --vlan
is "one tagged arm: xlvs knows one interface" "${devices[*]}" eth0
wiring "two tagged arms" --vlan
is "two tagged arms: xlvs knows one interface" "${devices[*]}" eth0
is "two tagged arms: nothing was redirected" "$(ending '^redirect_')" 0
end
