#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# attach, detach, status: errors are one line that says what is wrong and leave
# everything as it was.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
begin --detached

pins=/sys/fs/bpf/$XLVS_INSTANCE
refuses "a command before the first attach is refused" 'attach' \
  x -A -t "$vip:80" -s rr
refuses "an interface that does not exist is refused by name" 'nosuch0' \
  x attach nosuch0
check "which leaves no pins" test ! -e "$pins"
refuses "one good and one missing interface: none is attached" 'nosuch0' \
  x attach eth0 nosuch0
check "which leaves no program" fails has_xdp eth0

# Somebody else's program.
cat >"$scratch/foreign.bpf.c" <<'C'
__attribute__((section("xdp"), used)) int foreign_xdp(void *ctx) { return 2; }
char _license[] __attribute__((section("license"), used)) = "GPL";
C
clang -O2 -g -target bpf -c "$scratch/foreign.bpf.c" -o "$scratch/foreign.o"
director ip link set dev eth1 xdp obj "$scratch/foreign.o" sec xdp
refuses "another XDP program is not replaced, and named" 'eth1.*foreign_xdp' \
  x attach eth0 eth1
check "it is still there" has_xdp eth1
check "and eth0 has no program" fails has_xdp eth0
director ip link set dev eth1 xdp off

check "attach" x attach "${devices[@]}" --conns 20000
refuses "attach twice is refused and says so" 'eth0.*(already|attached)' \
  x attach eth0
is "status names both interfaces" \
  "$(x status | grep -oE 'eth[01]' | sort -u | xargs)" "eth0 eth1"
service rr 3
is "traffic" "$(visits 6)" "$(each 2 1 2 3)"
check_balance

x detach eth1
refuses "another size for an instance that exists is refused" 'conns' \
  x attach eth1 --conns 30000
check "detach of the last interface" x detach eth0
refuses "detach of what is not attached is refused" 'eth0' x detach eth0
is "leaves the configuration" "$(x -S -n | grep -c "^-[Aa]")" 4
check "attach finds it again" x attach "${devices[@]}"
is "and traffic goes on" "$(visits 6)" "$(each 2 1 2 3)"
check "detach --purge" x detach --purge
check "leaves nothing pinned" test ! -e "$pins"
check "and no program on eth0" fails has_xdp eth0
check "nor on eth1" fails has_xdp eth1

check "generic mode attaches too" \
  x attach "${devices[@]}" --mode generic --conns 20000
service rr 3
is "and forwards" "$(visits 6)" "$(each 2 1 2 3)"
check_balance
end
