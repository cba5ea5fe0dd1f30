#!/bin/busybox sh
# shellcheck shell=dash
# SPDX-License-Identifier: Apache-2.0
#
# The first process of a guest that tools/vm boots: /init of its initramfs. It
# makes the root of this machine's files and starts vm_guest.sh there.

/bin/busybox --install -s /bin
mount -t proc proc /proc
case " $(cat /proc/cmdline) " in
  *' xlvs_try '*) echo 'xlvs: this kernel boots' && reboot -f ;;
esac
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do insmod "/modules/$module"; done </modules/order

options=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o "ro,cache=loose,$options" host /host
mount -t 9p -o "$options" exchange /exchange
mount -t tmpfs tmpfs /memory
mkdir /memory/upper /memory/work
mount -t overlay -o \
  lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work overlay /guest

mount -t tmpfs tmpfs /guest/run
mkdir /guest/run/xlvs-vm
mount --move /exchange /guest/run/xlvs-vm
for dir in proc sys dev; do mount --move "/$dir" "/guest/$dir"; done
tree=$(tr '\0' '\n' </guest/run/xlvs-vm/command | head -n 1)
exec switch_root /guest /bin/bash "$tree/tools/lib/vm_guest.sh"
