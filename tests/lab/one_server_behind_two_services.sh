#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two services share a real server, and a client comes from one port to both,
# one after the other. From the server both look alike: its answers belong to
# the younger connection, as in IPVS, which finds that one first. (A server in
# TIME_WAIT may refuse the first SYN of the other service, whose timestamps have
# another base; so retransmissions are no mistake here.)
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin
service rr 1 80
service rr 1 81

from_one_port() {
  client "$helper" hold --port 5555 --end both --to "$vip:$1" 2>&1 |
    grep -v '^ready$' | tail -n 1
}
for port in 80 81 80 81 81 80; do
  is "from port 5555 to :$port" "$(from_one_port $port)" rs01
done
check_balance
end
