#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two services share a real server, and a client comes from one port to both,
# one after the other. From the server both look alike: its answers belong to
# the younger connection, as in IPVS, which finds that one first.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr 1 80
service rr 1 81

from_one_port() {
  client curl -sS --local-port 5555 --max-time 2 -H 'Connection: close' \
    "http://$vip:$1/"
}
before=$(retransmits "$lab-client")
for port in 80 81 80 81 81 80; do
  is "from port 5555 to :$port" "$(from_one_port $port 2>&1)" rs01
done
is "nothing was retransmitted" "$(retransmits "$lab-client")" "$before"

# And at load: ports are used again within seconds.
for port in 80 81; do
  client wrk -t 1 -c 8 -d 2 -H 'Connection: close' "http://$vip:$port/" \
    >"$scratch/wrk$port"
done
rate() { awk '/^Requests\/sec/ {print int($2)}' "$scratch/wrk$1"; }
check "the second service is not slower (:80 $(rate 80)/s, :81 $(rate 81)/s)" \
  test "$(rate 81)" -gt "$(($(rate 80) / 2))"
check_balance
end
