#!/usr/bin/env python3
"""The kernel's NAT between two TUN devices, for the tests and the figures of the firewall crate.

Run it in a network namespace of its own: `unshare -n ./shuttle.py`. Each line of standard input
is a packet, `lan HEX` or `wan HEX`; the answer is the packets that came out, a line each, and a
dot. `bench N FLOWS` times N packets of so many flows instead: the answer is nanoseconds a packet
and packets out. With the argument `plain` the router neither tracks nor translates: what is
left is the system calls and the forwarding.
"""

import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000

SETUP = """
ip link set lo up
ip link set lan up
ip link set wan up
ip addr add 192.168.0.1/16 dev lan
ip addr add 198.51.100.2/32 dev wan
ip route add 10.0.0.0/8 dev lan
ip route add default dev wan
ip addr add 2001:db8::1/32 dev lan nodad
ip addr add 2400:77::2/128 dev wan nodad
ip -6 route add default dev wan
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter
"""

NAT = """
nft -f nat.nft
echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose
"""


def tun(name):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return fd


def udp(source, destination, port):
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, bytes(source), bytes(destination)
    )
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xFFFF
    header = header[:10] + struct.pack("!H", total) + header[12:]
    return header + struct.pack("!HHHH", port, 53, 8, 0)


LAST = bytes([203, 0, 113, 250])


def of_hosts(v6):
    """Not the kernel's own, of its links."""
    source, destination = v6[8:24], v6[24:40]
    return source[0] != 0xFE and any(source) and destination[0] != 0xFF


def through(fds, side, packet):
    """What comes out before a packet that certainly does: the kernel keeps the order."""
    os.write(fds[side], packet)
    os.write(fds["lan"], udp([192, 168, 0, 250], LAST, 9))
    names = {fd: name for name, fd in fds.items()}
    out, over, wait = [], False, 10
    while ready := select.select(list(names), [], [], wait)[0]:
        for fd in ready:
            came = os.read(fd, 65536)
            if came[16:20] == LAST:
                over, wait = True, 0
            elif came[0] >> 4 == 4 or of_hosts(came):
                out.append((names[fd], came))
    if not over:
        sys.exit("the kernel lost a packet")
    return out


def bench(fds, count, flows):
    packets = [udp([10, n >> 16, n >> 8 & 255, n & 255], [203, 0, 113, 5], 5000) for n in range(flows)]
    lan, wan = fds["lan"], fds["wan"]
    os.set_blocking(wan, False)
    write, read, done = os.write, os.read, 0
    for turn in range(0, flows + count):
        if turn == flows:
            start = time.perf_counter_ns()
            done = 0
        write(lan, packets[turn * 7919 % flows if turn >= flows else turn])
        try:
            while True:
                read(wan, 2048)
                done += 1
        except BlockingIOError:
            pass
    took = time.perf_counter_ns() - start
    os.set_blocking(wan, True)
    return f"{took / count:.0f} {done}"


def main():
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    # One queue, and so one order.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    fds = {name: tun(name) for name in ("lan", "wan")}
    commands = SETUP if sys.argv[1:] == ["plain"] else SETUP + NAT
    subprocess.run(["sh", "-ec", commands], check=True, stdout=sys.stderr)
    print("ready", flush=True)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "bench":
            print(bench(fds, *map(int, rest)), flush=True)
            continue
        for name, packet in through(fds, word, bytes.fromhex(rest[0])):
            print(name, packet.hex())
        print(".", flush=True)


main()
