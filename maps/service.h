/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * xlvs_services: the virtual services, as the operator named them. Written by
 * the loader only; the packet path reads it for the first packet of a
 * connection. An entry appears after everything that it points to and goes
 * before it, so whoever finds one finds it whole. */
#ifndef XLVS_MAPS_SERVICE_H
#define XLVS_MAPS_SERVICE_H

#include "maps/addr.h"

enum xlvs_scheduler {
  XLVS_SCHED_none = 0,
  XLVS_SCHED_rr = 1,
  XLVS_SCHED_wrr = 2,
  XLVS_SCHED_lc = 3,
  XLVS_SCHED_wlc = 4,
  XLVS_SCHED_sed = 5,
  XLVS_SCHED_nq = 6,
  XLVS_SCHED_fo = 7,
  XLVS_SCHED_ovf = 8,
  XLVS_SCHED_twos = 9,
  XLVS_SCHED_sh = 10,
  XLVS_SCHED_dh = 11,
  XLVS_SCHED_mh = 12,
  XLVS_SCHED_lblc = 13,
  XLVS_SCHED_lblcr = 14,
};

/* A service by mark has fwmark; then vaddr is 0.0.0.0 or ::, for its family,
 * vport and l4_proto are 0. */
struct xlvs_service_key {
  struct xlvs_addr vaddr;
  __u16 vport;   /* host order; 0 = any port */
  __u8 l4_proto; /* IPPROTO_* */
  __u8 pad0;
  __u32 fwmark;
};
XLVS_ASSERT_SIZE(struct xlvs_service_key, 24);
XLVS_ASSERT_NO_PADDING(struct xlvs_service_key);

/* Flag values are those of the kernel's <linux/ip_vs.h> IP_VS_SVC_F_*. */
#define XLVS_SERVICE_persistent 0x0001U
#define XLVS_SERVICE_one_packet 0x0004U
/* The scheduler's own. sh and mh: 1 = fallback, 2 = port. */
#define XLVS_SERVICE_sched_1 0x0008U
#define XLVS_SERVICE_sched_2 0x0010U
#define XLVS_SERVICE_sched_3 0x0020U

/* FTP's commands: a service there gets the data connections, too. */
#define XLVS_FTP_PORT 21

struct xlvs_service {
  __u32 id; /* index into xlvs_pools; 0 is never assigned */
  enum xlvs_scheduler scheduler;
  __u32 flags; /* XLVS_SERVICE_* */
  __u32 pad0;
};
XLVS_ASSERT_SIZE(struct xlvs_service, 16);
XLVS_ASSERT_NO_PADDING(struct xlvs_service);

#endif
