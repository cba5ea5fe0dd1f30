/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the director itself answers on a Masq connection: replies, if it is the
 * real server, and its kernel's ICMP errors about what was rewritten. XDP sees
 * only what comes in, so a TC program at the devices' egress gives them the
 * service's address and port. The kernel's helpers mend the checksums, also
 * those that it has left to the device. SCTP's are not among them: a local SCTP
 * server has to use the service's port. */
#ifndef XLVS_BPF_PATH_LOCAL_REPLY_H
#define XLVS_BPF_PATH_LOCAL_REPLY_H

#include "bpf/emit/pieces.h"
#include "bpf/lookup/conn.h"
#include "bpf/lookup/fragment.h"
#include "bpf/lookup/local.h"
#include "bpf/parse/frame.h"
#include "bpf/path/icmp.h"

#define XLVS_REPLY_HEADERS_BYTES 128 /* what has to be in one piece */

/* Where the transport's checksum is in its header, 0 if it has none that an
 * address changes. */
static __always_inline __u32 xlvs_check_off(__u8 l4_proto) {
  return l4_proto == IPPROTO_TCP   ? offsetof(struct tcphdr, check)
         : l4_proto == IPPROTO_UDP ? offsetof(struct udphdr, check)
                                   : 0;
}

static __always_inline void xlvs_reply_ports(struct __sk_buff* skb,
                                             const struct xlvs_packet* pkt,
                                             const struct xlvs_addr* vaddr,
                                             __u16 vport) {
  const __u32 check_off = xlvs_check_off(pkt->l4_proto);
  if (pkt->fragment == XLVS_FRAGMENT_later || !check_off) return;
  const __u32 check = pkt->l4_off + check_off;
  const __u64 mark =
      pkt->l4_proto == IPPROTO_UDP ? (__u64)BPF_F_MARK_MANGLED_0 : 0;
  const __be16 new_port = bpf_htons(vport);
  if (pkt->l3 == XLVS_V4) {
    bpf_l4_csum_replace(skb, check, xlvs_addr_to_v4(&pkt->saddr),
                        xlvs_addr_to_v4(vaddr),
                        BPF_F_PSEUDO_HDR | mark | sizeof(__be32));
  } else {
    struct xlvs_addr old_addr = pkt->saddr;
    struct xlvs_addr new_addr = *vaddr;
    const __s64 change = bpf_csum_diff((__be32*)&old_addr, sizeof(old_addr),
                                       (__be32*)&new_addr, sizeof(new_addr), 0);
    bpf_l4_csum_replace(skb, check, 0, change, BPF_F_PSEUDO_HDR | mark);
  }
  bpf_l4_csum_replace(skb, check, bpf_htons(pkt->sport), new_port,
                      mark | sizeof(new_port));
  bpf_skb_store_bytes(skb, pkt->l4_off, &new_port, sizeof(new_port), 0);
}

static __always_inline void xlvs_reply_addr(struct __sk_buff* skb,
                                            const struct xlvs_packet* pkt,
                                            const struct xlvs_addr* to) {
  if (pkt->l3 == XLVS_V6) {
    struct xlvs_addr vaddr = *to;
    bpf_skb_store_bytes(skb, pkt->l3_off + offsetof(struct ipv6hdr, saddr),
                        &vaddr, sizeof(vaddr), 0);
    return;
  }
  const __be32 vaddr = xlvs_addr_to_v4(to);
  bpf_l3_csum_replace(skb, pkt->l3_off + offsetof(struct iphdr, check),
                      xlvs_addr_to_v4(&pkt->saddr), vaddr, sizeof(vaddr));
  bpf_skb_store_bytes(skb, pkt->l3_off + offsetof(struct iphdr, saddr), &vaddr,
                      sizeof(vaddr), 0);
}

/* Mends the checksum of ICMPv6 for one address that it covers. */
static __always_inline void xlvs_mend_icmpv6(struct __sk_buff* skb, __u32 check,
                                             const struct xlvs_addr* from,
                                             const struct xlvs_addr* to) {
  struct xlvs_addr old_addr = *from;
  struct xlvs_addr new_addr = *to;
  bpf_l4_csum_replace(skb, check, 0,
                      bpf_csum_diff((__be32*)&old_addr, sizeof(old_addr),
                                    (__be32*)&new_addr, sizeof(new_addr), 0),
                      BPF_F_PSEUDO_HDR);
}

/* An ICMP error of the director's own about what Masq rewrote (its port is
 * closed here, nobody resolves the real server ...): as if about what the
 * client sent, and from where. */
static __always_inline void xlvs_error_from_here(
    struct __sk_buff* skb, struct xlvs_cursor frame,
    const struct xlvs_packet* pkt) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  const struct xlvs_icmp_header* icmp =
      xlvs_peek(frame, pkt->l4_off, sizeof(*icmp));
  if (!scratch || !icmp || pkt->fragment != XLVS_WHOLE ||
      !xlvs_is_icmp_error((enum xlvs_l3)pkt->l3, icmp->type))
    return;
  struct xlvs_packet* quoted = &scratch->quoted;
  __builtin_memset(quoted, 0, sizeof(*quoted));
  if (xlvs_parse_quoted_any(frame, pkt->l4_off + sizeof(*icmp),
                            pkt->l3_off + pkt->ip_bytes, (enum xlvs_l3)pkt->l3,
                            quoted) != XLVS_STEP_next ||
      !xlvs_addr_equal(&quoted->saddr, &pkt->daddr) ||
      !(xlvs_local_roles(&quoted->daddr) & XLVS_LOCAL_dest))
    return;
  struct xlvs_found found = {};
  xlvs_turn(quoted, pkt->now_ticks, &scratch->probe);
  if (!xlvs_find_quoted(&scratch->probe, &found)) return;
  const __u32 check = pkt->l4_off + offsetof(struct xlvs_icmp_header, checksum);
  const __be16 old_port = bpf_htons(quoted->dport);
  const __be16 new_port = bpf_htons(found.vport);
  const struct xlvs_addr* own = xlvs_vaddr_of(&found);
  if (!own) return;
  struct xlvs_addr vaddr = *own;
  bpf_l4_csum_replace(skb, check, old_port, new_port, sizeof(new_port));
  bpf_skb_store_bytes(skb,
                      quoted->l4_off + offsetof(struct xlvs_ports_header, dest),
                      &new_port, sizeof(new_port), 0);
  xlvs_reply_addr(skb, pkt, &vaddr);
  if (pkt->l3 == XLVS_V6) {
    xlvs_mend_icmpv6(skb, check, &pkt->saddr, &vaddr);
    xlvs_mend_icmpv6(skb, check, &quoted->daddr, &vaddr);
    bpf_skb_store_bytes(skb, quoted->l3_off + offsetof(struct ipv6hdr, daddr),
                        &vaddr, sizeof(vaddr), 0);
    return;
  }
  /* IPv4's quoted header sums to the same as before. */
  const __be32 wire = xlvs_addr_to_v4(&vaddr);
  bpf_l3_csum_replace(skb, quoted->l3_off + offsetof(struct iphdr, check),
                      xlvs_addr_to_v4(&quoted->daddr), wire, sizeof(wire));
  bpf_skb_store_bytes(skb, quoted->l3_off + offsetof(struct iphdr, daddr),
                      &wire, sizeof(wire), 0);
}

static __always_inline void xlvs_reply_from_here(
    struct __sk_buff* skb, struct xlvs_packet* pkt,
    const struct xlvs_control* control) {
  if (!(xlvs_local_roles(&pkt->saddr) & XLVS_LOCAL_dest)) return;
  if (pkt->fragment == XLVS_FRAGMENT_later && !xlvs_fragment_recall(pkt))
    return;
  struct xlvs_place place;
  struct xlvs_found found = {};
  struct xlvs_miss miss = {};
  if (!xlvs_conn_find(pkt, XLVS_TO_CLIENT, &place, &miss, &found) ||
      !(found.dest->flags & XLVS_DEST_local))
    return;
  if (pkt->fragment != XLVS_FRAGMENT_later)
    xlvs_conn_advance(pkt, XLVS_TO_CLIENT, place, &found, control);
  if (pkt->fragment == XLVS_FRAGMENT_first) xlvs_fragment_remember(pkt);
  if (found.dest->state == XLVS_DEST_available)
    xlvs_count_out(found.dest_id, pkt->ip_bytes);
  const struct xlvs_addr* vaddr = xlvs_vaddr_of(&found);
  if (!vaddr) return;
  xlvs_reply_ports(skb, pkt, vaddr, found.vport);
  xlvs_reply_addr(skb, pkt, vaddr);
}

SEC("tc")
int xlvs_local_reply(struct __sk_buff* skb) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!control || !clock || !control->services) return XLVS_TC_NEXT;
  __u32 bytes = skb->len;
  if (bytes > XLVS_REPLY_HEADERS_BYTES) bytes = XLVS_REPLY_HEADERS_BYTES;
  if ((void*)(long)skb->data + bytes > (void*)(long)skb->data_end &&
      bpf_skb_pull_data(skb, bytes))
    return XLVS_TC_NEXT;
  const struct xlvs_cursor frame = {(void*)(long)skb->data,
                                    (void*)(long)skb->data_end};
  struct xlvs_packet pkt = {.now_ticks = XLVS_READ_ONCE(clock->now_ticks),
                            .secure_tcp = XLVS_READ_ONCE(clock->secure_tcp)};
  if (xlvs_parse_any(frame, skb->len, &pkt) != XLVS_STEP_next)
    return XLVS_TC_NEXT;
  if (xlvs_is_icmp(&pkt))
    xlvs_error_from_here(skb, frame, &pkt);
  else
    xlvs_reply_from_here(skb, &pkt, control);
  return XLVS_TC_NEXT;
}

#endif
