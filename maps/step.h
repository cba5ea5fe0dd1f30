/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Every way a packet can end: X(name, action, text). A row is an enum value,
 * an XDP action, a counter in xlvs_steps and a line of `xlvs status`. Names are
 * kept for good (dashboards know them); a new one goes to the end of its block.
 *
 * rx = sum of all endings, exactly: each packet counts once as rx when it
 * comes in and once as one of these. */
#ifndef XLVS_MAPS_STEP_H
#define XLVS_MAPS_STEP_H

#include "maps/layout.h"

#define XLVS_STEPS(X)                                                          \
  X(tx_client_to_dest, TX, "to a real server, out of the same interface")      \
  X(tx_dest_to_client, TX, "to a client, out of the same interface")           \
  X(tx_error_to_dest, TX, "ICMP error to a real server, same interface")       \
  X(tx_error_to_client, TX, "ICMP error to a client, same interface")          \
  X(redirect_client_to_dest, REDIRECT, "to a real server, another interface")  \
  X(redirect_dest_to_client, REDIRECT, "to a client, another interface")       \
  X(redirect_error_to_dest, REDIRECT,                                          \
    "ICMP error to a real server, another interface")                          \
  X(redirect_error_to_client, REDIRECT,                                        \
    "ICMP error to a client, another interface")                               \
  X(tx_icmp_port_unreach, TX, "answered: nobody is there for the packet")      \
  X(tx_icmp_ttl_exceeded, TX, "answered: TTL ended here")                      \
  X(tx_icmp_host_unreach, TX, "answered: no route to the real server")         \
  X(tx_icmp_frag_needed, TX, "answered: too big for the way")                  \
  X(pass_no_services, PASS, "no service is configured")                        \
  X(pass_not_ip, PASS, "neither IPv4 nor IPv6 (ARP, ...)")                     \
  X(pass_vlan, PASS, "more than two VLAN tags")                                \
  X(pass_truncated, PASS, "shorter than its headers say")                      \
  X(pass_malformed, PASS, "malformed IP header")                               \
  X(pass_extensions, PASS, "more IPv6 extension headers than we read")         \
  X(pass_fragment, PASS, "fragment of which we forwarded no first")            \
  X(pass_protocol, PASS, "neither TCP, UDP nor SCTP")                          \
  X(pass_not_ours, PASS, "neither to a service nor from a real server")        \
  X(pass_not_unicast, PASS, "frame is not addressed to this host")             \
  X(pass_martian, PASS, "impossible source address, kernel drops it")          \
  X(pass_icmp, PASS, "ICMP, no error: the host answers")                       \
  X(pass_icmp_no_conn, PASS, "ICMP error about no connection of ours")         \
  X(pass_no_service, PASS, "to a service's address, at another port")          \
  X(pass_no_conn, PASS,                                                        \
    "first packet begins no connection (TCP: SYN, SCTP: INIT)")                \
  X(pass_reply_no_conn, PASS, "from a real server, without connection")        \
  X(pass_source_port_20, PASS, "active FTP data, never scheduled")             \
  X(pass_local, PASS, "the real server is this host")                          \
  X(pass_neighbour, PASS, "kernel resolves the real server's MAC address")     \
  X(pass_neighbour_check, PASS,                                                \
    "kernel confirms the real server's MAC address")                           \
  X(pass_route, PASS, "kernel sends it: other device")                         \
  X(pass_reply_ttl, PASS, "reply's TTL ends here, kernel answers")             \
  X(pass_reply_route, PASS, "kernel routes the reply (no way to the client)")  \
  X(pass_cache_bypass, PASS,                                                   \
    "by mark, no server usable: goes on (cache_bypass)")                       \
  X(pass_too_big, PASS, "too big for the way, kernel fragments or answers")    \
  X(drop_v4_mapped, DROP, "IPv6 with a v4-mapped address")                     \
  X(drop_ip_checksum, DROP, "new connection, IPv4 header checksum wrong")      \
  X(drop_icmp_checksum, DROP, "ICMP error about a connection, checksum wrong") \
  X(drop_dest_removed, DROP, "its real server was removed")                    \
  X(drop_table_full, DROP, "connection table full")                            \
  X(drop_table_busy, DROP, "lost the race for a slot too often")               \
  X(drop_embryonic, DROP, "too many SYN_RECV connections, none here to go")    \
  X(drop_defence, DROP, "first packet, dropped in defence (drop_packet)")      \
  X(drop_vaddrs_full, DROP, "by mark, too many virtual addresses in use")      \
  X(drop_icmp_rate, DROP, "would be answered, but too many were")              \
  X(drop_icmp_failed, DROP, "would be answered, but may not or can't be")      \
  X(drop_neighbour, DROP,                                                      \
    "the kernel would have to send it, and can not be asked to")               \
  X(drop_too_big, DROP, "too big, DF is not set, and can not be cut here")     \
  X(drop_no_headroom, DROP, "no room before the frame for a header")           \
  X(drop_tunnel_source, DROP, "no own address to send the tunnel packet from") \
  X(drop_sctp_fragment, DROP, "SCTP fragment whose checksum NAT can't mend")   \
  X(drop_dest_loopback, DROP, "real server is a loopback address")             \
  X(drop_internal, DROP, "a map entry is missing: report this")

enum xlvs_step {
#define XLVS_X(name, action, text) XLVS_STEP_##name,
  XLVS_STEPS(XLVS_X)
#undef XLVS_X
      XLVS_STEP_max,
  /* Not endings: */
  XLVS_STEP_next = XLVS_STEP_max, /* go on */
  XLVS_STEP_other_shape,          /* the program for any shape has to look */
  XLVS_STEP_begins,               /* a connection has to be made */
};

struct xlvs_step_counters {
  __u64 rx;
#define XLVS_X(name, action, text) __u64 name;
  XLVS_STEPS(XLVS_X)
#undef XLVS_X
};
XLVS_ASSERT_SIZE(struct xlvs_step_counters, 8 * (XLVS_STEP_max + 1));
XLVS_ASSERT_NO_PADDING(struct xlvs_step_counters);

#endif
