/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the stages pass along: the packet's addresses and what else decides its
 * way. Copies, not packet pointers: a stage that writes to the packet takes
 * struct xlvs_headers (one bounds check) when it does so. */
#ifndef XLVS_BPF_LIB_PACKET_H
#define XLVS_BPF_LIB_PACKET_H

#include "bpf/lib/prelude.h"
#include "maps/addr.h"

/* What the TCP state machine sees of a segment: the first that is set, in this
 * order (ip_vs_proto_tcp.c, tcp_state_idx). UDP packets have no event. */
enum xlvs_tcp_event {
  XLVS_TCP_rst,
  XLVS_TCP_syn,
  XLVS_TCP_fin,
  XLVS_TCP_ack,
  XLVS_TCP_nothing, /* none of the four: the connection goes to CLOSE */
};
#define XLVS_TCP_EVENTS 8 /* array size: a power of two above 4 */

/* Which way a packet goes on its connection. */
enum xlvs_direction { XLVS_TO_DEST, XLVS_TO_CLIENT };

struct xlvs_packet {
  struct xlvs_addr saddr;
  struct xlvs_addr daddr;
  __u16 sport; /* host order */
  __u16 dport;
  __u16 ip_bytes; /* IP total length */
  __u8 l4_proto;
  __u8 tcp_event; /* enum xlvs_tcp_event */
  __u8 ttl;
  __u8 dont_fragment;
  __u8 pad0[2];
  __u32 now_ticks;
};

/* TCP and UDP begin alike. */
struct xlvs_ports_header {
  __be16 source;
  __be16 dest;
};

/* Where a parsed packet's headers are, for writing. IPv4 without options and
 * Ethernet without tag, so all offsets are constant. */
struct xlvs_headers {
  struct ethhdr* eth;
  struct iphdr* ip;
  struct xlvs_ports_header* ports;
  __u16* l4_check; /* the TCP or UDP checksum */
};

#endif
