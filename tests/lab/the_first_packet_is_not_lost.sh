#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A server whose MAC address the director does not know yet: the first SYN goes
# by way of the kernel, which resolves it; the client retransmits nothing.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr

private=${devices[-1]}
ip -n "$lab-dir" neigh flush dev "$private" nud all
before=$(retransmits "$lab-client")
is "a visit to each of 29 servers whose neighbour entry is missing" \
  "$(visits 29)" "$(everyone 1)"
is "the client retransmitted nothing" "$(retransmits "$lab-client")" "$before"
check "the kernel resolved them" test "$(ending '^pass_neighbour$')" -ge 1

# Again, with next hops that were known and cached: flushed under way.
sleep 1.2
ip -n "$lab-dir" neigh flush all nud all
before=$(retransmits "$lab-client")
is "the same after all entries, the client's too, were flushed" \
  "$(visits 29)" "$(everyone 1)"
is "again nothing was retransmitted" "$(retransmits "$lab-client")" "$before"
check_balance

# The same by every method. What is routed or tunnelled cannot be left to the
# kernel as it is: it would take the packet for its own.
begin --servers 6 --method nat,dr,tun
for either in 4 6; do
  speak "$either"
  service rr 6
  ip -n "$lab-dir" neigh flush all nud all
  before=$(retransmits "$lab-client")
  is "IPv$family: a visit to two servers of each method, none in the neighbours" \
    "$(visits 6)" "$(each 1 1 2 3 4 5 6)"
  is "IPv$family: the client retransmitted nothing" \
    "$(retransmits "$lab-client")" "$before"
done
check_balance
end
