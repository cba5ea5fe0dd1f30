#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Addresses and ports that rules name are one service: a network of a few
# addresses, each of which the director knows, and one so large that it knows
# only the network.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin

# visits, one to each ADDRESS[:PORT]
visits_to() {
  local to
  for to in "$@"; do visits 1 / "$to"; done | sort | uniq -c |
    awk '{print $2, $1}'
}

serve() {
  local number
  x -A -f "$1" -s rr
  for number in 1 2 3; do x -a -f "$1" -r "$(server_port $number)" -m; done
}

x mark add 1 --match 'tcp 192.0.2.0/28:80-90'
serve 1
is "addresses and ports of a rule are served in one turn" \
  "$(visits_to 192.0.2.1 192.0.2.1:81 192.0.2.9:90 192.0.2.14 192.0.2.0 \
    192.0.2.15:85)" "$(each 2 1 2 3)"
check "an address behind the network is not served" \
  fails answers 2 192.0.2.16
check "a port behind the range is not served" fails answers 2 192.0.2.1:91

# Persistent, each keeps its port, as in IPVS.
x -E -f 1 -s rr -p 360
is "persistent, they bring a client to one server" \
  "$(visits_to 192.0.2.2 192.0.2.3 192.0.2.4 | awk '{print $2}')" 3

x mark add 2 --match 'tcp 10.200.0.0/16:80'
serve 2
is "a large network is served, too" \
  "$(visits_to 10.200.0.1 10.200.77.3 10.200.255.254)" "$(each 1 1 2 3)"
check "what is behind it is not" fails answers 2 10.201.0.1

saved=$(x -S)
x -C
x mark del 1
x mark del 2
check "without services nothing is served" fails answers 2 10.200.0.1
is "-R brings rules and services back" \
  "$(x -R <<<"$saved" && visits_to 10.200.0.2 10.200.0.3 10.200.1.4)" \
  "$(each 1 1 2 3)"
check_balance
end
