"""Attacks that talk to somebody: all to servers of the suite on this machine alone.

Landlock is not named: only its newer versions stop some of this.
"""

from __future__ import annotations

from attack import Attack
from raw import with_calls

APART = ("seccomp", "bubblewrap")  # no sockets, and a network without anybody else

ATTACKS = [
    Attack(
        "connect-by-tcp",
        "network",
        "connects to a server and sends what it knows",
        """
        import socket

        try:
            with socket.create_connection(("127.0.0.1", TCP_PORT), 1) as connection:
                connection.sendall(b"weights")
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "connect-by-ipv6",
        "network",
        "connects to the same server by an IPv6 address",
        """
        import socket

        try:
            connection = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            connection.connect(("::ffff:127.0.0.1", TCP_PORT))
            connection.sendall(b"weights")
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "send-a-datagram",
        "network",
        "sends a datagram without a connection",
        """
        import socket

        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"weights", ("127.0.0.1", UDP_PORT))
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "connect-by-multipath-tcp",
        "network",
        "connects by multipath TCP, which rules for TCP don't cover",
        """
        import socket

        try:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
            connection.settimeout(1)
            connection.connect(("127.0.0.1", TCP_PORT))
            connection.sendall(b"weights")
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "connect-without-connecting",
        "network",
        "sends its first data together with the request for a connection",
        """
        import socket

        try:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.settimeout(1)
            connection.sendto(b"weights", socket.MSG_FASTOPEN, ("127.0.0.1", TCP_PORT))
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "connect-by-system-calls",
        "network",
        "makes a socket and connects it by raw system calls",
        with_calls(
            """
            import struct

            try:
                descriptor = call(41, 198, 2, 1, 0)
                call(42, 203, descriptor, struct.pack("!HH4s8x", 2 << 8, TCP_PORT, bytes([127, 0, 0, 1])), 16)
                os.write(descriptor, b"weights")
            except OSError:
                pass
            """
        ),
        APART,
    ),
    Attack(
        "fetch-a-page",
        "network",
        "fetches a page by Python's library",
        """
        import http.client
        import urllib.request

        try:
            urllib.request.urlopen(f"http://127.0.0.1:{TCP_PORT}/weights", timeout=0.3)
        except (OSError, http.client.HTTPException):
            pass
        """,
        APART,
    ),
    Attack(
        "connect-asynchronously",
        "network",
        "connects through an event loop",
        """
        import asyncio

        async def tell():
            _, writer = await asyncio.open_connection("127.0.0.1", TCP_PORT)
            writer.write(b"weights")
            await writer.drain()

        told = tell()
        try:
            asyncio.run(told)
        except OSError:
            told.close()
        """,
        APART,
    ),
    Attack(
        "connect-by-torch",
        "network",
        "connects by torch's native code for training on several machines",
        """
        import datetime
        import torch.distributed

        try:
            torch.distributed.TCPStore("127.0.0.1", TCP_PORT, timeout=datetime.timedelta(seconds=0.1))
        except RuntimeError:
            pass
        """,
        APART,
    ),
    Attack(
        "connect-to-a-unix-socket",
        "network",
        "connects to a local socket in the file system",
        """
        import socket

        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(UNIX_PATH)
            connection.sendall(b"weights")
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "connect-to-an-abstract-socket",
        "network",
        "connects to a local socket that is no file",
        """
        import socket

        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(ABSTRACT)
            connection.sendall(b"weights")
        except OSError:
            pass
        """,
        APART,
    ),
    Attack(
        "listen",
        "network",
        "listens for connections by TCP and by an abstract local socket",
        """
        import os
        import socket

        for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, chr(0) + f"{MARK}{os.getpid()}")):
            try:
                listening = socket.socket(family)
                listening.bind(address)
                listening.listen()
            except OSError:
                continue
            breach(address)
        """,
        ("seccomp",),
    ),
    Attack(
        "listen-in-the-home",
        "network",
        "listens on a socket in the user's home",
        """
        import socket

        try:
            socket.socket(socket.AF_UNIX).bind(f"{HOME}/{MARK}socket")
        except OSError:
            pass
        """,
        ("landlock", *APART),
    ),
    Attack(
        "make-a-pair-of-sockets",
        "network",
        "makes two sockets that are connected with each other",
        """
        import socket

        try:
            socket.socketpair()
            breach("a pair of sockets")
        except OSError:
            pass
        """,
        ("seccomp",),
    ),
    Attack(
        "make-odd-sockets",
        "network",
        "makes sockets of every kind that the kernel may have: raw ones, packets, virtual machines, cryptography",
        """
        import socket

        AF_VSOCK, AF_ALG, AF_XDP = 40, 38, 44
        families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET)
        made = []
        for family in (*families, AF_VSOCK, AF_ALG, AF_XDP):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
                for protocol in (0, socket.IPPROTO_ICMP, 136):
                    try:
                        socket.socket(family, kind, protocol).close()
                    except OSError:
                        continue
                    made.append((family, kind, protocol))
        if made:
            breach(made)
        """,
        ("seccomp",),
    ),
    Attack(
        "ask-the-kernel-for-the-network",
        "network",
        "asks the kernel for the machine's network interfaces",
        """
        import socket

        try:
            names = socket.if_nameindex()
        except OSError:
            names = []
        if names:
            breach(names)
        """,
        ("seccomp",),
    ),
    Attack(
        "resolve-a-name",
        "network",
        "resolves a name",
        """
        import socket

        try:
            breach(socket.getaddrinfo("localhost", 80))
        except OSError:
            pass
        """,
        ("bubblewrap",),
    ),
    Attack(
        "send-a-descriptor-to-the-front",
        "network",
        "sends an open descriptor to the grader over its channel",
        with_calls(
            """
            import struct

            byte = ctypes.create_string_buffer(b"x", 1)
            vector = ctypes.create_string_buffer(struct.pack("@PN", ctypes.addressof(byte), 1))
            control = ctypes.create_string_buffer(struct.pack("@Niii4x", 20, 1, 1, 0), 24)
            message = struct.pack("@PI4xPNPNi4x", 0, 0, ctypes.addressof(vector), 1, ctypes.addressof(control), 24, 0)
            try:
                breach(call(46, 211, 3, message, 0))
            except OSError:
                pass
            """
        ),
        ("seccomp",),
    ),
    Attack(
        "ask-who-is-at-the-other-end",
        "network",
        "asks by socket calls who is at the other end of its channel, and changes how much that holds",
        with_calls(
            """
            found = ctypes.create_string_buffer(128)
            tries = (
                lambda: call(52, 205, 3, found, ctypes.byref(ctypes.c_int(128))),
                lambda: call(55, 209, 3, 1, 17, found, ctypes.byref(ctypes.c_int(128))),
                lambda: call(54, 208, 3, 1, 8, (1 << 20).to_bytes(4, "little"), 4),
            )
            for attempt in tries:
                try:
                    attempt()
                except OSError:
                    continue
                breach(found.raw)
            """
        ),
        ("seccomp",),
    ),
]
