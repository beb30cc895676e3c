# Stands in for a machine: opens the tap that it is given, waits until it may run, and then sends datagrams from the address of its
# workspace, a few thousand a second, until it is killed. ID TAP MAC RUN-FILE GATEWAY-MAC/SOURCE/DESTINATION,...

import fcntl
import os
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000

_, machine, tap, mac, run_file, ends = sys.argv
ends = {words.split('/')[0]: words.split('/')[1:] for words in ends.split(',')}
gateway_mac, source, destination = ends[tap]


def octets(text):
    return bytes(int(part, 16) for part in text.split(':'))


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


device = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(device, TUNSETIFF, struct.pack('16sH22x', tap.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
payload = machine.encode().ljust(64, b'.')
udp = struct.pack('!HHHH', 40000, 9000, 8 + len(payload), 0) + payload
head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(destination))
head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
frame = bytes(10) + octets(gateway_mac) + octets(mac) + b'\x08\x00' + head + udp

while not os.path.exists(run_file):
    time.sleep(0.005)
while True:
    for _ in range(4):
        try:
            os.write(device, frame)
        except OSError:
            # The tap is down for the moment, or gone: a machine would go on as well.
            pass
    time.sleep(0.001)
