/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the stages pass along: the packet's addresses and what else decides its
 * way. Copies, not packet pointers: a stage that writes to the packet takes
 * its headers anew (one bounds check) when it does so. */
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

/* What the SCTP state machine sees of a packet: its first chunk, mostly
 * (ip_vs_proto_sctp.c, sctp_events). */
enum xlvs_sctp_event {
  XLVS_SCTP_data, /* and whatever has no row of its own */
  XLVS_SCTP_init,
  XLVS_SCTP_init_ack,
  XLVS_SCTP_cookie_echo,
  XLVS_SCTP_cookie_ack,
  XLVS_SCTP_shutdown,
  XLVS_SCTP_shutdown_ack,
  XLVS_SCTP_shutdown_complete,
  XLVS_SCTP_error,
  XLVS_SCTP_abort,
};
#define XLVS_SCTP_EVENTS 16 /* array size: a power of two above 9 */

/* <linux/in.h> has these as enumerators of kernels' choice. */
#define XLVS_IPPROTO_SCTP 132
#define XLVS_IPPROTO_ICMPV6 58

/* Which way a packet goes on its connection. Of a connection whose replies do
 * not come by (Route, Tunnel) only one side is seen: TCP and SCTP have a state
 * machine of its own for that (ip_vs.h, IP_VS_DIR_INPUT_ONLY). */
enum xlvs_direction { XLVS_TO_DEST, XLVS_TO_CLIENT, XLVS_TO_DEST_ONLY };
#define XLVS_DIRECTIONS 4 /* array size: a power of two above 2 */
/* secure_tcp has TCP go by tables of its own, this much further. */
#define XLVS_SECURE 4

enum xlvs_fragment {
  XLVS_WHOLE,
  XLVS_FRAGMENT_first,
  XLVS_FRAGMENT_later, /* no ports, no checksum */
};

enum xlvs_l3 { XLVS_V4, XLVS_V6 };

static __always_inline __be16 xlvs_ethertype(enum xlvs_l3 l3) {
  return l3 == XLVS_V4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* By one load and one store: the struct is packed, of which clang takes single
 * bytes. */
static __always_inline __be16 xlvs_ethertype_in(const struct ethhdr* eth) {
  return *(const __be16*)((const void*)eth + offsetof(struct ethhdr, h_proto));
}

static __always_inline void xlvs_put_ethertype(struct ethhdr* eth,
                                               __be16 type) {
  *(__be16*)((void*)eth + offsetof(struct ethhdr, h_proto)) = type;
}

/* Where the headers are. Passed by value beside the packet, so that in the
 * program for the commonest shape it is a constant all the way down. */
struct xlvs_shape {
  enum xlvs_l3 l3;
  __u32 l3_off; /* bytes from the start of the frame */
  __u32 l4_off;
  enum xlvs_fragment fragment;
};
/* Ethernet without a tag, IPv4 without options. */
#define XLVS_SHAPE_PLAIN_V4            \
  ((struct xlvs_shape){                \
      .l3 = XLVS_V4,                   \
      .l3_off = sizeof(struct ethhdr), \
      .l4_off = sizeof(struct ethhdr) + sizeof(struct iphdr)})
/* Ethernet without a tag, IPv6 without extension headers. */
#define XLVS_SHAPE_PLAIN_V6            \
  ((struct xlvs_shape){                \
      .l3 = XLVS_V6,                   \
      .l3_off = sizeof(struct ethhdr), \
      .l4_off = sizeof(struct ethhdr) + sizeof(struct ipv6hdr)})
/* Says nothing of an address's family: IPv6 has v4-mapped ones, too. */
#define XLVS_SHAPE_ANY ((struct xlvs_shape){.l3 = XLVS_V6})
#define XLVS_L3_OFF_MAX 22   /* two VLAN tags */
#define XLVS_L4_OFF_MAX 1023 /* what the verifier is told; a mask */

/* In words of 8 bytes: the third from last is all constants in the program for
 * the commonest shape. */
struct xlvs_packet {
  struct xlvs_addr saddr;
  struct xlvs_addr daddr;
  __u16 sport; /* host order */
  __u16 dport;
  __u16 ip_bytes; /* the IP packet, header included */
  __u8 l4_proto;
  __u8 event; /* enum xlvs_tcp_event or xlvs_sctp_event */

  __u16 l3_off; /* these four: struct xlvs_shape, as parsed */
  __u16 l4_off;
  __u8 l3;
  __u8 fragment;
  __u8 from_error; /* made of what an ICMP error quotes (schedule_icmp) */
  __u8 pad0;

  __u8 ttl; /* or hop limit */
  __u8 tos; /* or traffic class */
  __u8 dont_fragment;
  __u8 secure_tcp; /* as the clock has it */
  __u32 now_ticks;

  __u32 fragment_id;
  __u32 flow_hash; /* its connection's, from when that was looked for */
};

static __always_inline struct xlvs_shape xlvs_shape_of(
    const struct xlvs_packet* pkt) {
  struct xlvs_shape shape = {.l3 = pkt->l3,
                             .l3_off = pkt->l3_off,
                             .l4_off = pkt->l4_off,
                             .fragment = pkt->fragment};
  return shape;
}

/* IEEE 802.1Q: what follows the tag's TPID, which stands as an ethertype. */
struct xlvs_vlan_header {
  __be16 tci;
  __be16 ethertype;
};

/* TCP, UDP and SCTP begin alike. */
struct xlvs_ports_header {
  __be16 source;
  __be16 dest;
};

/* RFC 9260, 3.1 and 3.2: the common header and the first chunk's. */
struct xlvs_sctp_header {
  __be16 source;
  __be16 dest;
  __be32 verification_tag;
  __u32 checksum; /* CRC32c, least significant byte first */
};
struct xlvs_sctp_chunk {
  __u8 type;
  __u8 flags;
  __be16 bytes; /* this header included, padding not */
};

/* RFC 792 and RFC 4443. <linux/icmp.h> would pull in half of the C library. */
struct xlvs_icmp_header {
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be32 rest; /* of errors: an MTU, or unused */
};

#endif
