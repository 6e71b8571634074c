"""Serve, sync and search in a network of our own, and tell what was sent where.

In it every address is this machine, so whatever is sent can be seen on one wire, by
whatever means the program or a library under it sends. Needs root, and `ip`.
"""

import json
import socket
import subprocess
import sys
import threading
from ipaddress import ip_address

WELLHEAD = [sys.executable, "-m", "wellhead.app.cli"]
NETWORK = (
    "ip link set lo up",
    "ip route add local 0.0.0.0/0 dev lo",
    "ip -6 route add local ::/0 dev lo",
)
NAMES = 53
"""Where names are asked for, which may be a program on this machine."""
ETHERNET_HEADER = 14
UDP_HEADER, QUESTION = 8, 12
EVERYTHING = 3


def watch(
    wire: socket.socket, seen: set[tuple[str, int, str]], done: threading.Event
) -> None:
    """Note address and port of every packet for elsewhere, and names asked for."""
    while not done.is_set():
        try:
            packet = wire.recv(65_536)[ETHERNET_HEADER:]
        except TimeoutError:
            continue
        is_old = packet[0] >> 4 == 4
        address = ip_address(packet[16:20] if is_old else packet[24:40])
        header = (packet[0] & 15) * 4 if is_old else 40
        port = int.from_bytes(packet[header + 2 : header + 4], "big")
        if port == NAMES or not address.is_loopback:
            asked = packet[header + UDP_HEADER + QUESTION :] if port == NAMES else b""
            seen.add((str(address), port, asked.decode("ascii", "backslashreplace")))


def ask(*words: str) -> str:
    done = subprocess.run(
        [*WELLHEAD, *words], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def use(folder: str) -> str:
    """Do what people do with the program; return what a search found."""
    with subprocess.Popen(
        [*WELLHEAD, "serve"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        try:
            ask("sync", folder, "--collection", "alone")
            return ask("search", "heron", "--collection", "alone")
        finally:
            server.terminate()


def main(folder: str) -> None:
    for command in NETWORK:
        subprocess.run(command.split(), check=True)
    seen: set[tuple[str, int, str]] = set()
    done = threading.Event()
    with socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING)
    ) as wire:
        wire.settimeout(0.1)
        watcher = threading.Thread(target=watch, args=[wire, seen, done])
        watcher.start()
        try:
            found = use(folder)
            by_the_program = sorted(seen)
            with socket.socket() as probe:
                probe.connect_ex(("192.0.2.1", 443))
            done.wait(0.3)
        finally:
            done.set()
            watcher.join()
    told = {"found": json.loads(found), "sent": by_the_program, "seen": sorted(seen)}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
