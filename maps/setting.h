/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What `xlvs set KEY VALUE` changes: the sysctls of IPVS that act on packets,
 * by their names and with their defaults (Documentation/networking/
 * ipvs-sysctl.rst), then our own. Part of xlvs_control (config.h). */
#ifndef XLVS_MAPS_SETTING_H
#define XLVS_MAPS_SETTING_H

#include "maps/layout.h"

#define XLVS_ANY 0x7fffffff

/* X(name, default, min, max, text) */
#define XLVS_SETTINGS(X)                                                      \
  X(expire_nodest_conn, 0, 0, XLVS_ANY,                                       \
    "1: connections of a removed real server end at once")                    \
  X(expire_quiescent_template, 0, 0, XLVS_ANY,                                \
    "1: persistent clients leave a real server of weight 0")                  \
  X(conn_reuse_mode, 1, 0, XLVS_ANY,                                          \
    "a SYN on an ended connection: 0 old server, 1 new, 2 also in FIN_WAIT")  \
  X(sloppy_tcp, 0, 0, XLVS_ANY, "1: any TCP packet but RST begins one")       \
  X(sloppy_sctp, 0, 0, XLVS_ANY, "1: any SCTP packet but ABORT begins one")   \
  X(schedule_icmp, 0, 0, XLVS_ANY,                                            \
    "1: an ICMP error about no connection is scheduled, too")                 \
  X(nat_icmp_send, 0, 0, XLVS_ANY,                                            \
    "1: a server's packet of no connection is answered by an ICMP error")     \
  X(pmtu_disc, 1, 0, XLVS_ANY, "0: tunnel packets may be cut on their way")   \
  X(cache_bypass, 0, 0, XLVS_ANY,                                             \
    "1: by mark, no server usable: the packet goes on to where it is for")    \
  X(secure_tcp, 0, 0, 3, "defence: 0 off, 1 when needed (2: now), 3 always")  \
  X(drop_entry, 0, 0, 3, "defence, end embryonic connections: as secure_tcp") \
  X(drop_packet, 0, 0, 3, "defence, drop first packets: as secure_tcp")       \
  X(am_droprate, 10, 1, XLVS_ANY, "drop_packet 3: of this many, one")         \
  X(amemthresh, 1024, 0, XLVS_ANY,                                            \
    "modes 1 and 2: needed when fewer connections than this fit")             \
  X(lblc_expiration, 86400, 1, XLVS_ANY, "s until lblc forgets an address")   \
  X(lblcr_expiration, 86400, 1, XLVS_ANY, "s until lblcr forgets a server")   \
  X(embryonic_max, 0, 0, XLVS_ANY,                                            \
    "SYN_RECV connections in all; 0: half of --conns")                        \
  X(service_embryonic_max, 0, 0, XLVS_ANY,                                    \
    "SYN_RECV connections of a service; 0: a quarter of --conns")

struct xlvs_settings {
#define XLVS_X(name, standard, min, max, text) __u32 name;
  XLVS_SETTINGS(XLVS_X)
#undef XLVS_X
};
#define XLVS_SETTINGS_COUNT 18
XLVS_ASSERT_SIZE(struct xlvs_settings, 4 * XLVS_SETTINGS_COUNT);
XLVS_ASSERT_NO_PADDING(struct xlvs_settings);

#endif
