// SPDX-License-Identifier: Apache-2.0
//
// One question to rtnetlink and its answers, for the network namespace that
// this process is in.
#ifndef XLVS_LOADER_NET_NETLINK_H_
#define XLVS_LOADER_NET_NETLINK_H_

#include <linux/netlink.h>

#include <array>
#include <functional>
#include <memory>

#include "loader/net/ip_addr.h"

struct nlattr;

namespace xlvs {

// To the kernel's rtnetlink, opened by the first question.
class NetlinkSocket {
 public:
  NetlinkSocket();
  ~NetlinkSocket();
  NetlinkSocket(const NetlinkSocket&) = delete;
  NetlinkSocket& operator=(const NetlinkSocket&) = delete;

 private:
  friend class NetlinkRequest;
  struct State;
  std::unique_ptr<State> state_;
};

// A message as it is put together, with libmnl's functions on header().
class NetlinkRequest {
 public:
  // `type` is RTM_*; `flags` are NLM_F_* beside NLM_F_REQUEST.
  NetlinkRequest(uint16_t type, uint16_t flags);
  NetlinkRequest(const NetlinkRequest&) = delete;
  NetlinkRequest& operator=(const NetlinkRequest&) = delete;

  // The family's own header (rtmsg, ifinfomsg), zeroed.
  template <typename Header>
  Header& Extra() {
    return *static_cast<Header*>(Extra(sizeof(Header)));
  }
  void Put(uint16_t attribute, const IpAddr& addr);

  // Sends it and hands over each answer. Returns 0 or the kernel's errno: what
  // an error means depends on the question.
  int Ask(const std::function<void(const nlmsghdr&)>& answer);
  // The same by a socket that is kept, for who has many questions.
  int Ask(NetlinkSocket& socket,
          const std::function<void(const nlmsghdr&)>& answer);

 private:
  void* Extra(size_t bytes);

  alignas(nlmsghdr) std::array<char, 256> buffer_ = {};
  nlmsghdr* header_;
};

// The attribute of this type among those after the family's header of
// `extra_bytes`, or null.
const nlattr* FindAttribute(const nlmsghdr& message, size_t extra_bytes,
                            uint16_t type);
// The same, nested in another.
const nlattr* FindAttribute(const nlattr& nest, uint16_t type);
// Of an attribute that holds an address of either family; zero if it does not.
IpAddr AddressOf(const nlattr& attribute);

}  // namespace xlvs

#endif  // XLVS_LOADER_NET_NETLINK_H_
