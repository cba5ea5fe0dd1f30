/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The decapsulator of a real server: the maps of bpf/decap.bpf.c, and every way
 * in which a packet leaves it. Not the director's: neither program reads the
 * other's maps.
 *
 *   xlvs_decap_cfg   read-only data, set between open and load
 *   xlvs_decap_meta  one entry, written once, read first by every loader
 *   xlvs_decap_from  key: a director's address. Who is not in it is not heard.
 *   xlvs_decap_vips  key: an address that packets inside may be for; empty: any
 *   xlvs_decap_devs  key: an attached interface's index; its MAC address
 *   xlvs_decap_ends  one entry a CPU: the endings' counters
 *
 * The loader writes all but the last; packets read. What is given at the first
 * attach (cfg, from, vips) never changes. */
#ifndef XLVS_MAPS_DECAP_H
#define XLVS_MAPS_DECAP_H

#include "maps/addr.h"

#define XLVS_DECAP_LAYOUT_VERSION 1
#define XLVS_DECAP_ADDRS 256  /* entries of xlvs_decap_from, xlvs_decap_vips */
#define XLVS_DECAP_DEVICES 64 /* entries of xlvs_decap_devs */
#define XLVS_DECAP_PORT 6080  /* GUE (IANA), where ipvsadm and Linux have it */

struct xlvs_decap_config {
  __u32 tun_port; /* GUE's UDP port, host order */
  __u32 vips;     /* entries of xlvs_decap_vips; 0: any address will do */
};
XLVS_ASSERT_SIZE(struct xlvs_decap_config, 8);
XLVS_ASSERT_NO_PADDING(struct xlvs_decap_config);

struct xlvs_decap_meta {
  __u32 layout_version; /* XLVS_DECAP_LAYOUT_VERSION */
  __u32 pad0;
  __u64 netns_cookie; /* the network namespace that the devices are in */
  char version[16];   /* of the loader that made the maps */
  struct xlvs_decap_config config;
};
XLVS_ASSERT_SIZE(struct xlvs_decap_meta, 40);
XLVS_ASSERT_NO_PADDING(struct xlvs_decap_meta);

struct xlvs_decap_device {
  __u8 mac[6];
  __u16 pad0;
};
XLVS_ASSERT_SIZE(struct xlvs_decap_device, 8);
XLVS_ASSERT_NO_PADDING(struct xlvs_decap_device);

/* X(name, action, text), as in step.h: an enum value, an XDP action, a counter,
 * a line of `xlvs decap status`. A packet that is passed came out as it went
 * in, but for the first three. rx = sum of all endings, exactly. */
#define XLVS_DECAP_STEPS(X)                                                  \
  X(pass_decap_ipip, PASS, "decapsulated: IP in IP")                         \
  X(pass_decap_gue, PASS, "decapsulated: GUE")                               \
  X(pass_decap_gre, PASS, "decapsulated: GRE")                               \
  X(pass_not_ip, PASS, "neither IPv4 nor IPv6 (ARP, ...)")                   \
  X(pass_vlan, PASS, "more than two VLAN tags")                              \
  X(pass_not_unicast, PASS, "broadcast or multicast frame")                  \
  X(pass_other_mac, PASS, "frame is not addressed to this interface")        \
  X(pass_truncated, PASS, "shorter than its headers say")                    \
  X(pass_malformed, PASS, "malformed IP header")                             \
  X(pass_ip_checksum, PASS, "outer IPv4 header's checksum is wrong")         \
  X(pass_extension_headers, PASS, "outer IPv6 header has extension headers") \
  X(pass_protocol, PASS, "no tunnel: other protocol, or other UDP port")     \
  X(pass_not_director, PASS, "tunnelled, but not by a director (--from)")    \
  X(pass_fragment, PASS,                                                     \
    "a director's packet in fragments: cannot be "                           \
    "decapsulated, raise the MTU on the way here")                           \
  X(pass_not_local, PASS, "tunnelled to another host")                       \
  X(pass_gue_header, PASS, "GUE of other version, with options or control")  \
  X(pass_gre_header, PASS, "GRE with key, sequence number or other flags")   \
  X(pass_inner_protocol, PASS, "tunnel carries neither IPv4 nor IPv6")       \
  X(drop_udp_checksum, DROP, "outer UDP checksum is wrong")                  \
  X(drop_gre_checksum, DROP, "GRE checksum is wrong")                        \
  X(drop_inner_truncated, DROP, "packet inside is shorter than headers say") \
  X(drop_inner_malformed, DROP, "packet inside has a malformed IP header")   \
  X(drop_v4_mapped, DROP, "packet inside has an IPv4 address as IPv6")       \
  X(drop_not_vip, DROP, "packet inside is for no address of --vip")          \
  X(drop_ecn, DROP, "congestion was met, which packet inside cannot tell")   \
  X(drop_internal, DROP, "what cannot happen: report this")

enum xlvs_decap_step {
#define XLVS_X(name, action, text) XLVS_DECAP_##name,
  XLVS_DECAP_STEPS(XLVS_X)
#undef XLVS_X
      XLVS_DECAP_max,
  XLVS_DECAP_next = XLVS_DECAP_max, /* not an ending: go on */
};

struct xlvs_decap_counters {
  __u64 rx;
#define XLVS_X(name, action, text) __u64 name;
  XLVS_DECAP_STEPS(XLVS_X)
#undef XLVS_X
};
XLVS_ASSERT_SIZE(struct xlvs_decap_counters, 8 * (XLVS_DECAP_max + 1));
XLVS_ASSERT_NO_PADDING(struct xlvs_decap_counters);

#endif
