# SPDX-License-Identifier: Apache-2.0
"""A frame as a line of text that says all there is in it, so that two frames
are equal if their lines are: headers with their fields, checksums as right or
wrong, data as length and CRC.

    eth dst=.. src=.. | ip tos=00 len=40 id=1111 frag=DF ttl=63 .. csum=ok | ..
"""

import ipaddress
import struct
import zlib

TCP_FLAGS = "FSRPAUEC"


def sum16(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def data_layer(data):
    return [("data", {"bytes": len(data), "crc": f"{zlib.crc32(data):08x}"})] if data else []


class Decoder:
    """Layers of one packet. `quoted`: as an ICMP error has it, so maybe cut, and
    with a transport checksum that nobody keeps right."""

    def __init__(self, quoted=False):
        self.quoted = quoted
        self.where = "quoted-" if quoted else ""

    def layer(self, name, **fields):
        return (self.where + name, {k.rstrip("_"): v for k, v in fields.items()})

    def ipv4(self, data):
        if len(data) < 20:
            return data_layer(data)
        size = (data[0] & 15) * 4
        tos, length, ident, frag, ttl, proto = struct.unpack("!xBHHHBB", data[:10])
        offset = (frag & 0x1FFF) * 8
        words = [w for bit, w in ((0x8000, "RF"), (0x4000, "DF"), (0x2000, "MF")) if frag & bit]
        if offset:
            words.append(f"@{offset}")
        header = self.layer(
            "ip",
            src=ipaddress.ip_address(data[12:16]),
            dst=ipaddress.ip_address(data[16:20]),
            ttl=ttl,
            tos=f"{tos:02x}",
            id=f"{ident:04x}",
            frag="".join(words) or "-",
            len=length,
            proto=proto,
            opts=data[20:size].hex() or "-",
            csum="ok" if sum16(data[:size]) == 0xFFFF else "bad",
        )
        body = data[size:length]
        whole = len(body) == length - size and not frag & 0x2000
        pseudo = data[12:20] + struct.pack("!BBH", 0, proto, len(body))
        rest = data_layer(body) if offset else self.l4(proto, body, pseudo, whole)
        return [header] + rest + self.trailer(data[length:])

    def ipv6(self, data):
        if len(data) < 40:
            return data_layer(data)
        first, length, proto, hops = struct.unpack("!IHBB", data[:8])
        header = self.layer(
            "ip6",
            src=ipaddress.ip_address(data[8:24]),
            dst=ipaddress.ip_address(data[24:40]),
            hops=hops,
            tc=f"{first >> 20 & 255:02x}",
            flow=f"{first & 0xFFFFF:05x}",
            plen=length,
            next=proto,
        )
        layers = [header]
        body = data[40 : 40 + length]
        whole = len(body) == length
        while proto in (0, 43, 44, 60) and len(body) >= 8:
            if proto == 44:
                offset, ident = struct.unpack("!HI", body[2:8])
                layers.append(
                    self.layer("frag6", at=offset & ~7, more=offset & 1, id=f"{ident:08x}", next=body[0])
                )
                whole = whole and not offset & 1
                size = 8
                if offset & ~7:
                    return layers + data_layer(body[8:]) + self.trailer(data[40 + length :])
            else:
                size = (body[1] + 1) * 8
                layers.append(self.layer(f"ext{proto}", next=body[0], data=body[2:size].hex()))
            proto, body = body[0], body[size:]
        pseudo = data[8:40] + struct.pack("!II", len(body), proto)
        return layers + self.l4(proto, body, pseudo, whole) + self.trailer(data[40 + length :])

    def trailer(self, data):
        return [self.layer("trailer", bytes=len(data))] if data else []

    def checksum(self, data, at, pseudo, whole):
        raw = struct.unpack("!H", data[at : at + 2])[0] if len(data) >= at + 2 else None
        if raw is None:
            return "cut"
        if self.quoted or not whole:
            return f"{raw:04x}"
        return "ok" if sum16(pseudo + data) == 0xFFFF else "bad"

    def l4(self, proto, data, pseudo, whole):
        known = {6: self.tcp, 17: self.udp, 132: self.sctp, 1: self.icmp, 58: self.icmp6, 47: self.gre}
        if proto == 4:
            return Decoder(self.quoted).ipv4(data)
        if proto == 41:
            return Decoder(self.quoted).ipv6(data)
        if proto in known and len(data) >= 8 - 4 * (proto == 47):
            return known[proto](data, pseudo, whole)
        return data_layer(data)

    def tcp(self, data, pseudo, whole):
        sport, dport, seq = struct.unpack("!HHI", data[:8])
        if len(data) < 20:
            return [self.layer("tcp", sport=sport, dport=dport, seq=f"{seq:x}")] + data_layer(data[8:])
        ack, offset, flags, window = struct.unpack("!IBBH", data[8:16])
        size = (offset >> 4) * 4
        names = "".join(f for i, f in enumerate(TCP_FLAGS) if flags >> i & 1) or "-"
        return [
            self.layer(
                "tcp",
                sport=sport,
                dport=dport,
                flags=names,
                seq=f"{seq:x}",
                ack=f"{ack:x}",
                win=window,
                opts=data[20:size].hex() or "-",
                csum=self.checksum(data, 16, pseudo, whole),
            )
        ] + data_layer(data[size:])

    def udp(self, data, pseudo, whole):
        sport, dport, length, check = struct.unpack("!HHHH", data[:8])
        layer = self.layer(
            "udp",
            sport=sport,
            dport=dport,
            len=length,
            csum="none" if not check else self.checksum(data, 6, pseudo, whole),
        )
        if dport == GUE_PORT and len(data) >= 12:
            gue = self.layer("gue", flags=data[8:12].hex())
            inside = {4: self.ipv4, 41: self.ipv6}.get(data[9], data_layer)
            size = 12 + (data[8] & 31) * 4
            return [layer, gue] + inside(data[size:])
        return [layer] + data_layer(data[8:])

    def sctp(self, data, pseudo, whole):
        sport, dport, tag = struct.unpack("!HHI", data[:8])
        fields = {"sport": sport, "dport": dport, "tag": f"{tag:08x}"}
        if len(data) >= 12:
            zeroed = data[:8] + bytes(4) + data[12:]
            right = struct.pack("<I", crc32c(zeroed)) == data[8:12]
            fields["crc"] = data[8:12].hex() if self.quoted or not whole else "ok" if right else "bad"
        return [self.layer("sctp", **fields)] + data_layer(data[12:])

    def gre(self, data, pseudo, whole):
        flags, ethertype = struct.unpack("!HH", data[:4])
        size = 4 + 4 * bool(flags & 0x8000)
        fields = {"flags": f"{flags:04x}", "type": f"{ethertype:04x}"}
        if size == 8:
            fields["csum"] = data[4:8].hex() if self.quoted else "ok" if sum16(data) == 0xFFFF else "bad"
        inside = {0x800: self.ipv4, 0x86DD: self.ipv6}.get(ethertype, data_layer)
        return [self.layer("gre", **fields)] + inside(data[size:])

    def icmp_message(self, name, data, error, pseudo, whole, inside):
        layer = self.layer(
            name,
            type=data[0],
            code=data[1],
            rest=data[4:8].hex(),
            csum=self.checksum(data, 2, pseudo, whole),
        )
        return [layer] + (inside(data[8:]) if error else data_layer(data[8:]))

    def icmp(self, data, pseudo, whole):
        error = data[0] in (3, 4, 5, 11, 12)
        return self.icmp_message("icmp", data, error, b"", whole, Decoder(quoted=True).ipv4)

    def icmp6(self, data, pseudo, whole):
        error = data[0] < 128
        return self.icmp_message("icmp6", data, error, pseudo, whole, Decoder(quoted=True).ipv6)


GUE_PORT = 6080


def layers(frame):
    ethertype = struct.unpack("!H", frame[12:14])[0]
    eth = ("eth", {"dst": frame[:6].hex(":"), "src": frame[6:12].hex(":")})
    if ethertype == 0x800:
        return [eth] + Decoder().ipv4(frame[14:])
    if ethertype == 0x86DD:
        return [eth] + Decoder().ipv6(frame[14:])
    return [eth, ("type", {"is": f"{ethertype:04x}"})] + data_layer(frame[14:])


def to_text(all_layers):
    return " | ".join(
        " ".join([name] + [f"{key}={value}" for key, value in fields.items()])
        for name, fields in all_layers
    )


def from_text(text):
    result = []
    for part in text.split(" | "):
        name, *fields = part.split(" ")
        result.append((name, dict(field.split("=", 1) for field in fields)))
    return result
