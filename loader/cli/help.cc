// SPDX-License-Identifier: Apache-2.0
#include "loader/cli/help.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace xlvs {
namespace {

constexpr absl::string_view kXlvsHead =
    R"(xlvs: Linux Virtual Server at the XDP hook

Set up, look, take down:
  xlvs attach DEV... [--mode native|generic|auto] [--conns N] [--services N]
                     [--dests N] [--sh-tables N] [--mh-tables N]
                     [--count-batch N]
  xlvs status [--all] [--json]
  xlvs detach DEV...       traffic goes to the kernel; configuration stays
  xlvs detach --purge      forget configuration and connections, too
  N is a number: 1000000, 64k, 1M. The sizes are fixed by the first attach.

On a real server, which needs no director of its own:
  xlvs real-setup dr  VIP... [--device DEV]
  xlvs real-setup tun VIP... --director ADDR[,ADDR...] (--device DEV|--kernel)
                      [--tun-type ipip|gue|gre] [--tun-port PORT] [--tun-csum]
                      [--mtu N]
  xlvs real-setup nat [VIP...] --director ADDR [--device DEV]
  shows what it needs to be behind -g, -i or -m, as a script. VIP is a service's
  address. --kernel: tunnel devices instead of xlvs decap.
    --apply                does it; twice is fine; all or nothing
  xlvs real-setup --undo   takes back what --apply did, old settings included

Behind a tunnel (-i) real-setup uses xlvs decap, which also goes alone:
  xlvs decap attach DEV --from ADDR[,ADDR...] [--vip ADDR[,ADDR...]]
                    [--tun-port PORT] [--mode native|generic|auto]
  xlvs decap status [--all] [--json]
  xlvs decap detach DEV
  --from are the directors: nobody else's tunnelled packets are taken. --vip
  are the services' addresses: without it packets inside may be for anyone,
  and a host that forwards would forward them. PORT is GUE's, 6080.

Settings, which IPVS has as sysctls, and marks, which it has of a firewall:
  xlvs set                 all of them, with their defaults
  xlvs set KEY [VALUE]     look at one, or change it; net.ipv4.vs.KEY goes, too
  xlvs mark add MARK --match 'RULE' [--match 'RULE']...
  xlvs mark del MARK [--match 'RULE']...
  xlvs mark [list]         rules, as they are tried: the first that matches
  RULE is [tcp|udp|sctp|any] NETWORK[:PORT[-PORT]]: 'tcp 192.0.2.0/28:80-90',
  'udp [2001:db8::/64]:53', '198.51.100.7'. A service by mark (-f MARK) gets
  the packets to these addresses.

Balance, with the commands of ipvsadm:
  xlvs -A -t 192.0.2.1:80 -s rr
  xlvs -a -t 192.0.2.1:80 -r 10.0.0.11:8080 -m
  xlvs -L -n

)";

// $ is the program's name.
constexpr absl::string_view kGrammar = R"(Services:
  $ -A SERVICE [-s SCHEDULER] [-b FLAG,...] [-p [SECONDS]] [-M MASK] [-o]
  $ -E SERVICE ...                      change; not given: default
  $ -D SERVICE                          delete, with its real servers
  $ -C                                  delete all
Real servers:
  $ -a SERVICE -r HOST[:PORT] [METHOD] [-w WEIGHT] [-x MAX] [-y MIN]
  $ -e SERVICE -r HOST[:PORT] ...       change; not given: default
  $ -d SERVICE -r HOST[:PORT]           delete
Look:
  $ -L [SERVICE] [COLUMNS] [-n] [--exact] [--nosort]
  $ -L -c [-n]                          connections
  $ -L --timeout                        idle timeouts
More:
  $ -Z [SERVICE]                        counters start at 0 again
  $ --set TCP TCPFIN UDP                idle timeouts in seconds; 0: keep
  $ -S [-n]                             save to stdout
  $ -R                                  restore from stdin
  $ -h                                  help
  $ -v                                  version

SERVICE     -t HOST[:PORT] (TCP), -u HOST[:PORT] (UDP) or
            --sctp-service HOST[:PORT]; IPv6: [ADDRESS]:PORT
            -f MARK [-6]  packets with this mark, 1 to 4294967295
SCHEDULER   wlc (the default), rr, wrr, lc, sed, nq, fo, ovf, twos, sh, dh, mh,
            lblc, lblcr or none
FLAG        sh-fallback, sh-port, mh-fallback or mh-port
-p SECONDS  a client stays with its real server; 360 if not given; without a
            port in SERVICE: on all ports
-M MASK     with -p: clients of a network are one; 255.255.255.0, IPv6: 64
-o          with UDP: each datagram is scheduled for itself
METHOD      -g  direct routing (the default): the real server has the service's
                address, on the same network as the director
            -i  tunneling: the same, anywhere; of either address family
                  --tun-type ipip|gue|gre       ipip if not given
                  --tun-port PORT               of gue
                  --tun-nocsum|--tun-csum       of gue, gre
                  --tun-remcsum                 of gue
            -m  masquerading (NAT): the real server routes by the director
            Only -m can give the real server another port than the service.
-w WEIGHT   0 to 2147483647; 1 if not given; 0: no new connections
-x MAX      with so many connections it gets no more...
-y MIN      ...until it has fewer than this; not given: three quarters of MAX
COLUMNS     --stats, --rate, --thresholds, --persistent-conn or --tun-info
-n          numbers, no names: never waits for a name server
The command comes first. Long options as in ipvsadm: --add-service,
--tcp-service, --scheduler, --real-server, --masquerading, --weight, --list...
)";

constexpr absl::string_view kXlvsTail = R"(
Only here:
  --json                  with -L, set, mark, status: the listing as JSON
  -S                      saves thresholds, timeouts, settings and marks, too
  --instance NAME         which of several directors ($XLVS_INSTANCE; "xlvs")
)";

}  // namespace

std::string HelpText(const Program& program) {
  const std::string grammar =
      absl::StrReplaceAll(kGrammar, {{"$", program.name}});
  if (program.personality == Personality::kXlvs)
    return absl::StrCat(kXlvsHead, grammar, kXlvsTail);
  return absl::StrCat(VersionText(program), grammar);
}

std::string VersionText(const Program& program) {
  if (program.personality == Personality::kXlvs)
    return "xlvs 0.1.0 (ipvsadm 1.31 compatible)\n";
  return "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";
}

std::string TryHelpText(const Program& program) {
  return absl::StrFormat("Try `%s -h' or '%s --help' for more information.",
                         program.argv0, program.argv0);
}

}  // namespace xlvs
