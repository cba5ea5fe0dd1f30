/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The director: what happens to a packet, stage by stage.
 *
 *   parse -> lookup -> schedule -> forward -> emit
 *
 * What a stage does is in its folder, the order of the stages in bpf/path/, and
 * the ways a packet can end in maps/step.h. The same paths stand in three
 * programs: in xlvs_director and xlvs_director_v6 for the commonest shapes of a
 * packet, where every offset is a constant, and in xlvs_director_any for all
 * others. ICMP has one of its own, and so has what makes a connection: first
 * packets need more stack, and known connections' packets less code. */
#include "bpf/emit/icmp_error.h"
#include "bpf/expire/timer.h"
#include "bpf/lib/finish.h"
#include "bpf/lookup/local.h"
#include "bpf/parse/frame.h"
#include "bpf/path/begin.h"
#include "bpf/path/icmp.h"
#include "bpf/path/local_reply.h"
#include "bpf/path/to_client.h"
#include "bpf/path/to_dest.h"

int xlvs_director_v6(struct xdp_md* ctx);
int xlvs_director_any(struct xdp_md* ctx);
int xlvs_director_icmp(struct xdp_md* ctx);
int xlvs_director_first(struct xdp_md* ctx);

/* The other programs. No user process writes it; it is pinned, because the
 * kernel empties such a map when no descriptor and no pin is left. */
enum xlvs_program {
  XLVS_PROGRAM_v6,
  XLVS_PROGRAM_any,
  XLVS_PROGRAM_icmp,
  XLVS_PROGRAM_first,
  XLVS_PROGRAM_max,
};
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __type(key, __u32);
  __uint(max_entries, XLVS_PROGRAM_max);
  __array(values, int(void*));
} xlvs_programs SEC(".maps") = {
    .values = {[XLVS_PROGRAM_v6] = (void*)&xlvs_director_v6,
               [XLVS_PROGRAM_any] = (void*)&xlvs_director_any,
               [XLVS_PROGRAM_icmp] = (void*)&xlvs_director_icmp,
               [XLVS_PROGRAM_first] = (void*)&xlvs_director_first},
};

/* Ends a packet's way through a program, unless another goes on. */
static __always_inline int xlvs_end(struct xdp_md* ctx, enum xlvs_step step) {
  if (step == XLVS_STEP_begins) {
    bpf_tail_call(ctx, &xlvs_programs, XLVS_PROGRAM_first);
    step = XLVS_STEP_drop_internal;
  }
  return xlvs_finish(step);
}

/* Which side a packet comes from decides what the table is asked for: one
 * probe. What may be a request only because of a large network that rules for
 * marks name is asked for as a reply first. */
static __always_inline enum xlvs_step xlvs_dispatch(
    struct xdp_md* ctx, struct xlvs_packet* pkt, struct xlvs_shape shape,
    const struct xlvs_control* control) {
  const __u32 daddr_hash = xlvs_hash_of(&pkt->daddr, shape, 0);
  bool is_request =
      xlvs_local_roles_at(&pkt->daddr, daddr_hash) & XLVS_LOCAL_virtual;
  enum xlvs_step step = XLVS_STEP_pass_not_ours;
  if (!is_request) {
    const __u32 saddr_hash = xlvs_hash_of(&pkt->saddr, shape, 0);
    if (xlvs_local_roles_at(&pkt->saddr, saddr_hash) & XLVS_LOCAL_dest)
      step = xlvs_to_client(ctx, pkt, shape, control);
    is_request = (step == XLVS_STEP_pass_not_ours ||
                  step == XLVS_STEP_pass_reply_no_conn) &&
                 xlvs_is_in_wide(&pkt->daddr, control);
  }
  if (!is_request)
    return step == XLVS_STEP_pass_reply_no_conn &&
                   XLVS_READ_ONCE(control->set.nat_icmp_send)
               ? (enum xlvs_step)xlvs_refuse_reply(ctx, pkt)
               : step;
  __u32 mtu = 0;
  step = xlvs_to_dest(ctx, pkt, shape, control, &mtu);
  return xlvs_is_answer(step)
             ? (enum xlvs_step)xlvs_icmp_error(ctx, pkt, step, mtu)
             : step;
}

/* A later fragment gets its first's ports, or is the kernel's. */
static __always_inline enum xlvs_step xlvs_complete(
    struct xlvs_packet* pkt, const struct xlvs_control* control) {
  if (pkt->fragment != XLVS_FRAGMENT_later) return XLVS_STEP_next;
  if (!(xlvs_local_roles(&pkt->daddr) & XLVS_LOCAL_virtual) &&
      !(xlvs_local_roles(&pkt->saddr) & XLVS_LOCAL_dest) &&
      !xlvs_is_in_wide(&pkt->daddr, control))
    return XLVS_STEP_pass_not_ours;
  return xlvs_fragment_recall(pkt) ? XLVS_STEP_next : XLVS_STEP_pass_fragment;
}

/* Not on the stack, which the paths need for themselves. */
static __always_inline struct xlvs_packet* xlvs_blank_packet(void) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!scratch || !clock) return NULL;
  __builtin_memset(&scratch->packet, 0, sizeof(scratch->packet));
  scratch->packet.now_ticks = XLVS_READ_ONCE(clock->now_ticks);
  scratch->packet.secure_tcp = XLVS_READ_ONCE(clock->secure_tcp);
  return &scratch->packet;
}

/* The packets of one plain shape. */
static __always_inline int xlvs_direct_plain(
    struct xdp_md* ctx, struct xlvs_shape shape,
    const struct xlvs_control* control) {
  const struct xlvs_clock* clock = XLVS_ONLY(xlvs_clock);
  if (!clock) return xlvs_finish(XLVS_STEP_drop_internal);
  struct xlvs_packet pkt = {.now_ticks = XLVS_READ_ONCE(clock->now_ticks),
                            .secure_tcp = XLVS_READ_ONCE(clock->secure_tcp)};
  const enum xlvs_step step = xlvs_parse_plain(xlvs_cursor(ctx), shape, &pkt);
  if (step == XLVS_STEP_next)
    return xlvs_end(ctx, xlvs_dispatch(ctx, &pkt, shape, control));
  if (step == XLVS_STEP_other_shape)
    bpf_tail_call(ctx, &xlvs_programs, XLVS_PROGRAM_any);
  return xlvs_finish(step);
}

static __always_inline int xlvs_direct(struct xdp_md* ctx) {
  xlvs_count_rx();
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  if (!control) return xlvs_finish(XLVS_STEP_drop_internal);
  if (!control->services) return xlvs_finish(XLVS_STEP_pass_no_services);
  const struct xlvs_cursor frame = xlvs_cursor(ctx);
  const struct ethhdr* eth = frame.next;
  if ((void*)(eth + 1) <= frame.end &&
      xlvs_ethertype_in(eth) == bpf_htons(ETH_P_IPV6))
    bpf_tail_call(ctx, &xlvs_programs, XLVS_PROGRAM_v6);
  return xlvs_direct_plain(ctx, XLVS_SHAPE_PLAIN_V4, control);
}

SEC("xdp.frags")
int xlvs_director(struct xdp_md* ctx) {
  return xlvs_direct(ctx);
}

SEC("xdp.frags")
int xlvs_director_v6(struct xdp_md* ctx) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  return control ? xlvs_direct_plain(ctx, XLVS_SHAPE_PLAIN_V6, control)
                 : xlvs_finish(XLVS_STEP_drop_internal);
}

SEC("xdp.frags")
int xlvs_director_any(struct xdp_md* ctx) {
  const struct xlvs_control* control = XLVS_ONLY(xlvs_control);
  struct xlvs_packet* pkt = xlvs_blank_packet();
  if (!control || !pkt) return xlvs_finish(XLVS_STEP_drop_internal);
  enum xlvs_step step = (enum xlvs_step)xlvs_parse(ctx, pkt);
  if (step != XLVS_STEP_next) return xlvs_finish(step);
  if (xlvs_is_icmp(pkt)) {
    bpf_tail_call(ctx, &xlvs_programs, XLVS_PROGRAM_icmp);
    return xlvs_finish(XLVS_STEP_drop_internal);
  }
  step = xlvs_complete(pkt, control);
  if (step != XLVS_STEP_next) return xlvs_finish(step);
  return xlvs_end(ctx, xlvs_dispatch(ctx, pkt, xlvs_shape_of(pkt), control));
}

SEC("xdp.frags")
int xlvs_director_icmp(struct xdp_md* ctx) {
  struct xlvs_packet* pkt = xlvs_blank_packet();
  if (!pkt) return xlvs_finish(XLVS_STEP_drop_internal);
  const enum xlvs_step step = (enum xlvs_step)xlvs_parse(ctx, pkt);
  if (step != XLVS_STEP_next) return xlvs_finish(step);
  return xlvs_end(ctx, xlvs_icmp_path(ctx, pkt));
}

SEC("xdp.frags")
int xlvs_director_first(struct xdp_md* ctx) {
  struct xlvs_scratch* scratch = XLVS_ONLY(xlvs_scratch);
  return xlvs_finish(scratch ? xlvs_first_path(ctx, scratch)
                             : XLVS_STEP_drop_internal);
}

char xlvs_license[] SEC("license") = "Dual BSD/GPL";
