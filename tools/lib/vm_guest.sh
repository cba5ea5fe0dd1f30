#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a guest that tools/vm boots, once the root is there: runs
# the command, writes its exit code, ends the guest. See vm.sh.
exchange=/run/xlvs-vm
{
  IFS= read -r -d '' tree
  IFS= read -r -d '' modules
  IFS= read -r -d '' rw_dir
  mapfile -d '' -t command
} <$exchange/command

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=dumb
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mkdir -p /dev/pts /dev/shm /lib/modules
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind "$modules" /lib/modules
mount --bind /dev/null /etc/resolv.conf
[[ -z $rw_dir ]] ||
  mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 rw "$rw_dir"
hostname guest
ip link set lo up

# Ports take one opening at a time: nobody could write to /dev/stderr.
for port in /sys/class/virtio-ports/*; do
  case $(<"$port/name") in
    out) exec {out}>"/dev/${port##*/}" ;;
    err) exec {err}>"/dev/${port##*/}" ;;
  esac
done
cd "$tree" || exit
exec {to_out}> >(exec cat >&"$out")
pids=$!
exec {to_err}> >(exec cat >&"$err")
pids+=" $!"
"${command[@]}" >&"$to_out" 2>&"$to_err" </dev/null {to_out}>&- {to_err}>&-
status=$?
exec {to_out}>&- {to_err}>&-

# What the command left running may hold them open.
for ((i = 0; i < 20; i++)); do
  # shellcheck disable=SC2086
  kill -0 $pids 2>/dev/null || break
  sleep 0.1
done
printf '%d\n' "$status" >$exchange/status
sync
echo b >/proc/sysrq-trigger
