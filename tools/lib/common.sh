# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What every script here needs: where the tree is, which xlvs to run, how to
# stop with one readable line. Sourced, never run.

XLVS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Debian's root has these; a user's su or a container's shell may not.
case ":$PATH:" in
  *:/usr/sbin:*) ;;
  *) PATH=$PATH:/usr/sbin:/sbin ;;
esac

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m'
  cyan=$'\e[36m' plain=$'\e[0m'
else
  # shellcheck disable=SC2034  # used by those who source this file
  bold='' dim='' red='' green='' yellow='' cyan='' plain=''
fi

die() {
  printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
  exit 1
}

need_root() {
  [[ $EUID -eq 0 ]] || die "needs root (network namespaces, BPF): run sudo $0"
}

# The program under test: $XLVS, else what this tree built, else an installed
# one. Empty if there is none.
find_xlvs() {
  local path
  for path in "${XLVS:-}" "$XLVS_ROOT/build/dev/loader/xlvs" \
    "$XLVS_ROOT/build/release/loader/xlvs"; do
    if [[ -n $path && -x $path ]]; then
      printf '%s\n' "$path"
      return
    fi
  done
  command -v xlvs || true
}

# Pins need bpffs where everybody looks for it.
mount_bpffs() {
  [[ $(stat -f -c %T /sys/fs/bpf 2>/dev/null) == bpf_fs ]] && return
  mount -t bpf bpf /sys/fs/bpf ||
    die "cannot mount bpffs on /sys/fs/bpf: is CONFIG_BPF_SYSCALL set?"
}

# In the lab's director, without hiding bpffs as `ip netns exec` does.
in_netns() {
  local netns=$1
  shift
  nsenter --net="/run/netns/$netns" "$@"
}
