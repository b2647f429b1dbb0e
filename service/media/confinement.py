"""Confines the process that decodes images: limits on its resources, no network and no other program.

A fault in a decoder may run code of an image's author. On Linux a seccomp filter refuses sockets, programs and
debugging, also without privileges and inside containers. Elsewhere, and where a platform refuses filters, the limits
remain.
"""

import ctypes
import platform
import resource
import struct
import sys
from typing import Final

#: Bytes of addresses: Python, Pillow, five copies of an image of 40 million pixels (the encoder of lossless WebP), and
#: a margin. At most 1.1 GB of them are in memory together.
MEMORY: Final = 1_600_000_000
CPU_SECONDS: Final = 20
#: Bytes of the cleaned image, without a setting: an image of 40 million pixels, without any compression, and a margin.
LARGEST_FILE: Final = 256_000_000
#: Standard streams, and files that an import may open.
OPEN_FILES: Final = 32

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2
#: By machine: the kernel's number of the architecture, and of the calls socket, socketpair, connect, clone, fork,
#: vfork, clone3, execve, execveat, ptrace and io_uring_setup (which opens sockets too). ARM64 has no fork and no vfork.
_REFUSED: Final = {
    "x86_64": (0xC000003E, (41, 53, 42, 56, 57, 58, 435, 59, 322, 101, 425)),
    "aarch64": (0xC00000B7, (198, 199, 203, 220, 435, 221, 281, 117, 425)),
}
#: Numbers from here are calls of x86_64's second interface, which would pass a filter for the first.
_X32: Final = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _EPERM = 0x7FFF0000, 0x00050001
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4


def confine(*, memory: int = MEMORY, cpu_seconds: int = CPU_SECONDS, largest_file: int = LARGEST_FILE) -> bool:
    """Confine this process for good. Return whether network and programs are refused too."""
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: largest_file,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    if sys.platform != "linux":
        return False
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return _filter_calls()


def _filter_calls() -> bool:
    found = _REFUSED.get(platform.machine())
    if found is None:
        return False
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _program(*found))
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // 8
    head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", count, ctypes.addressof(buffer)))
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    # Without new privileges, no privilege is needed for a filter.
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(head), 0, 0) == 0)


def _program(architecture: int, calls: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Return the filter as (operation, jump if true, jump if false, operand); jumps skip instructions."""
    tests = [
        *((_EQUAL, len(calls) - place + 1, 0, number) for place, number in enumerate(calls)),
        (_AT_LEAST, 1, 0, _X32),
    ]
    return [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _EPERM),
        (_LOAD, 0, 0, _NUMBER_AT),
        *tests,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
