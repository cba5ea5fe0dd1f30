// SPDX-License-Identifier: Apache-2.0
#include "loader/net/netlink.h"

#include <libmnl/libmnl.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace xlvs {
namespace {

struct SocketCloser {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, SocketCloser>;

using Answer = std::function<void(const nlmsghdr&)>;

int HandOver(const nlmsghdr* message, void* answer) {
  (*static_cast<const Answer*>(answer))(*message);
  return MNL_CB_OK;
}

const nlattr* Find(const void* first, const void* end, uint16_t type) {
  const auto* attribute = static_cast<const nlattr*>(first);
  const auto left = [&] {
    return static_cast<int>(static_cast<const char*>(end) -
                            reinterpret_cast<const char*>(attribute));
  };
  for (; mnl_attr_ok(attribute, left()); attribute = mnl_attr_next(attribute))
    if (mnl_attr_get_type(attribute) == type) return attribute;
  return nullptr;
}

}  // namespace

struct NetlinkSocket::State {
  // 0 or errno.
  int Open() {
    if (socket != nullptr) return 0;
    socket.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (socket == nullptr) return errno;
    if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) == 0) return 0;
    const int error = errno;
    socket.reset();
    return error;
  }

  Socket socket;
  std::vector<char> buffer = std::vector<char>(32768);
  uint32_t questions = 0;
};

NetlinkSocket::NetlinkSocket() : state_(std::make_unique<State>()) {}
NetlinkSocket::~NetlinkSocket() = default;

NetlinkRequest::NetlinkRequest(uint16_t type, uint16_t flags)
    : header_(mnl_nlmsg_put_header(buffer_.data())) {
  header_->nlmsg_type = type;
  header_->nlmsg_flags = NLM_F_REQUEST | flags;
}

void* NetlinkRequest::Extra(size_t bytes) {
  return mnl_nlmsg_put_extra_header(header_, bytes);
}

void NetlinkRequest::Put(uint16_t attribute, const IpAddr& addr) {
  const uint8_t* bytes = addr.raw().byte;
  if (addr.is_v4())
    mnl_attr_put(header_, attribute, 4, bytes + 12);
  else
    mnl_attr_put(header_, attribute, 16, bytes);
}

int NetlinkRequest::Ask(const Answer& answer) {
  NetlinkSocket socket;
  return Ask(socket, answer);
}

int NetlinkRequest::Ask(NetlinkSocket& kept, const Answer& answer) {
  if (const int error = kept.state_->Open(); error != 0) return error;
  mnl_socket* socket = kept.state_->socket.get();
  std::vector<char>& buffer = kept.state_->buffer;
  header_->nlmsg_seq = ++kept.state_->questions;
  if (mnl_socket_sendto(socket, header_, header_->nlmsg_len) < 0) return errno;
  const unsigned port = mnl_socket_get_portid(socket);
  const bool several = (header_->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  while (true) {
    const ssize_t bytes =
        mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (bytes < 0) return errno;
    const int more = mnl_cb_run(buffer.data(), bytes, header_->nlmsg_seq, port,
                                HandOver, const_cast<Answer*>(&answer));
    if (more < 0) return errno;
    if (more == MNL_CB_STOP || !several) return 0;
  }
}

const nlattr* FindAttribute(const nlmsghdr& message, size_t extra_bytes,
                            uint16_t type) {
  return Find(mnl_nlmsg_get_payload_offset(&message, extra_bytes),
              mnl_nlmsg_get_payload_tail(&message), type);
}

const nlattr* FindAttribute(const nlattr& nest, uint16_t type) {
  const auto* first = static_cast<const char*>(mnl_attr_get_payload(&nest));
  return Find(first, first + mnl_attr_get_payload_len(&nest), type);
}

IpAddr AddressOf(const nlattr& attribute) {
  const auto* bytes =
      static_cast<const uint8_t*>(mnl_attr_get_payload(&attribute));
  switch (mnl_attr_get_payload_len(&attribute)) {
    case 4:
      return IpAddr::FromV4Bytes(bytes);
    case 16:
      return IpAddr::FromV6Bytes(bytes);
    default:
      return IpAddr();
  }
}

}  // namespace xlvs
