#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The command lines of the paper, verbatim, under the name ipvsadm.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin

mkdir "$scratch/bin"
ln -s "$xlvs" "$scratch/bin/ipvsadm"
PATH=$scratch/bin:$PATH
# paper LINE: as typed in the director, by a shell.
paper() { director bash -c "$1"; }

check "ipvsadm -A -t 192.168.1.100:80 -s rr" \
  paper "ipvsadm -A -t 192.168.1.100:80 -s rr"
for ((number = 1; number <= shared_servers; number++)); do
  paper "ipvsadm -a -t 192.168.1.100:80 -r $(server_port $number) -m" || {
    not_ok "ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.x:80 -m" "$number"
    break
  }
done
is "ipvsadm -a -t 192.168.1.100:80 -r 192.168.1.x:80 -m, 29 times" \
  "$(paper "ipvsadm -Ln" | grep -c Masq)" $shared_servers
is "HTTP through them: 2 for each of 29 servers" \
  "$(visits 58)" "$(everyone 2)"

is "ipvsadm -Ln begins as IPVS's does" "$(paper "ipvsadm -Ln" | sed -n 2,4p)" \
  "Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  192.168.1.100:80 rr"
paper "ipvsadm -S -n" >"$scratch/rules"
paper "ipvsadm -C"
is "ipvsadm -C clears the table" "$(paper "ipvsadm -S -n")" ''
paper "ipvsadm -R" <"$scratch/rules"
is "ipvsadm -R restores what -S saved" \
  "$(paper "ipvsadm -S -n")" "$(cat "$scratch/rules")"
is "and traffic goes on" "$(visits 29)" "$(everyone 1)"
check_balance
end
