/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Where the time of an established packet goes: the stages of xlvs_to_dest and
 * xlvs_to_client (bpf/path/) one after the other, cut off after each.
 * A stage costs what its program takes longer than the one before. */
#include "bpf/director.bpf.c"
#include "tools/bench.d/traffic.h"

enum bench_stage {
  BENCH_PARSE,
  BENCH_LOCAL,
  BENCH_FIND,
  BENCH_ADVANCE,
  BENCH_COUNT,
  BENCH_WAY,
  BENCH_MASQ,
  BENCH_SEND,
};

/* Has the compiler believe that `x` and all memory are used here. */
#define BENCH_KEEP(x) asm volatile("" ::"r"(x) : "memory")
#define BENCH_CUT(at, x) \
  if (stage == (at)) {   \
    BENCH_KEEP(x);       \
    return XDP_TX;       \
  }

static __always_inline int bench_stages(struct xdp_md* ctx,
                                        enum xlvs_direction direction,
                                        enum bench_stage stage) {
  const bool to_dest = direction == XLVS_TO_DEST;
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!control || !clock || !control->services) return XDP_ABORTED;
  struct xlvs_packet pkt = {.now_ticks = XLVS_READ_ONCE(clock->now_ticks)};
  if (xlvs_parse_plain(xlvs_cursor(ctx), XLVS_SHAPE_PLAIN_V4, &pkt) !=
      XLVS_STEP_next)
    return XDP_ABORTED;
  BENCH_CUT(BENCH_PARSE, &pkt);

  const struct xlvs_shape shape = XLVS_SHAPE_PLAIN_V4;
  const __u32 daddr_hash = xlvs_hash_of(&pkt.daddr, shape, 0);
  const bool is_virtual =
      xlvs_local_roles_at(&pkt.daddr, daddr_hash) & XLVS_LOCAL_virtual;
  if (is_virtual != to_dest) return XDP_ABORTED;
  if (!to_dest) {
    const __u32 saddr_hash = xlvs_hash_of(&pkt.saddr, shape, 0);
    if (!(xlvs_local_roles_at(&pkt.saddr, saddr_hash) & XLVS_LOCAL_dest))
      return XDP_ABORTED;
  }
  BENCH_CUT(BENCH_LOCAL, &pkt);

  struct xlvs_place place;
  struct xlvs_found found = {};
  struct xlvs_miss miss = {};
  if (!xlvs_conn_find_shape(&pkt, shape, direction, &place, &miss, &found))
    return XDP_ABORTED;
  if (to_dest && xlvs_reuse_of(&pkt, &found, control) != XLVS_REUSE_none)
    return XDP_ABORTED;
  if (found.dest->state != XLVS_DEST_available) return XDP_ABORTED;
  BENCH_CUT(BENCH_FIND, &found);

  xlvs_conn_advance(&pkt, direction, place, &found, control);
  BENCH_CUT(BENCH_ADVANCE, &found);

  if (to_dest)
    xlvs_count_in(found.dest_id, pkt.ip_bytes);
  else
    xlvs_count_out(found.dest_id, pkt.ip_bytes);
  BENCH_CUT(BENCH_COUNT, &found);

  if (pkt.ttl <= 1) return XDP_ABORTED;
  struct xlvs_nexthop way;
  const struct xlvs_addr* vaddr = xlvs_vaddr_of(&found);
  if (!vaddr) return XDP_ABORTED;
  if (to_dest) {
    way = found.dest->nexthop;
    if (!way.ifindex || !xlvs_is_fresh(&found.dest->nexthop, pkt.now_ticks) ||
        (found.dest->flags & XLVS_DEST_local))
      return XDP_ABORTED;
  } else if (xlvs_way_to_client(ctx, &pkt, &found, vaddr, &way) !=
             XLVS_STEP_next) {
    return XDP_ABORTED;
  }
  if (way.mtu && pkt.ip_bytes > way.mtu) return XDP_ABORTED;
  if (!xlvs_can_send(ctx, way.ifindex)) return XDP_ABORTED;
  BENCH_CUT(BENCH_WAY, &way);

  struct xlvs_view view;
  if (!xlvs_view(ctx, shape, &view)) return XDP_ABORTED;
  const enum xlvs_step step =
      to_dest
          ? xlvs_masq(ctx, &view, &pkt, shape, XLVS_TO_DEST, &found.dest->daddr,
                      xlvs_dport(found.dest, found.life, found.vport))
          : xlvs_masq(ctx, &view, &pkt, shape, XLVS_TO_CLIENT, vaddr,
                      found.vport);
  if (step != XLVS_STEP_next) return XDP_ABORTED;
  BENCH_CUT(BENCH_MASQ, &way);

  if (xlvs_hop(ctx, &view, shape, &way) != XLVS_STEP_next) return XDP_ABORTED;
  return way.ifindex == ctx->ingress_ifindex ? XDP_TX : XDP_REDIRECT;
}

#define BENCH_STAGE(name, number)                                       \
  SEC("xdp") int request_##name(struct xdp_md* ctx) {                   \
    return bench_request(ctx) ? bench_stages(ctx, XLVS_TO_DEST, number) \
                              : XDP_ABORTED;                            \
  }                                                                     \
  SEC("xdp") int reply_##name(struct xdp_md* ctx) {                     \
    return bench_reply(ctx) ? bench_stages(ctx, XLVS_TO_CLIENT, number) \
                            : XDP_ABORTED;                              \
  }

BENCH_STAGE(parse, BENCH_PARSE)
BENCH_STAGE(local, BENCH_LOCAL)
BENCH_STAGE(find, BENCH_FIND)
BENCH_STAGE(advance, BENCH_ADVANCE)
BENCH_STAGE(count, BENCH_COUNT)
BENCH_STAGE(way, BENCH_WAY)
BENCH_STAGE(masq, BENCH_MASQ)
BENCH_STAGE(send, BENCH_SEND)
