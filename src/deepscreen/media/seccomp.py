"""A filter on system calls for processes that have parsed hostile bytes: no network, no programs, no other processes.

It needs no privilege and no tool, so it also holds in containers that allow no namespaces. *Source:* the kernel's
``Documentation/userspace-api/seccomp_filter.rst`` and the system call tables of x86_64 and aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
X32_FIRST = 0x40000000  # numbers of a second way into the x86_64 kernel; nothing here uses it
CLONE_THREAD = 0x00010000


@dataclass(frozen=True, slots=True)
class _Table:
    """The numbers of one architecture. ``denied``: whatever reaches out of the process."""

    audit_architecture: int
    clone: int
    clone3: int
    denied: dict[str, int]


# Numbers above 423 are the same everywhere.
_COMMON = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "pidfd_open": 434, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442,
}  # fmt: skip
_TABLES = {
    "x86_64": _Table(
        0xC000003E, 56, 435,
        _COMMON | {
            "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288,
            "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "kill": 62, "tkill": 200, "ptrace": 101,
            "process_vm_readv": 310, "process_vm_writev": 311, "mount": 165, "umount2": 166, "pivot_root": 155,
            "chroot": 161, "unshare": 272, "setns": 308, "keyctl": 250, "add_key": 248, "request_key": 249,
            "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "open_by_handle_at": 304,
        },
    ),
    "aarch64": _Table(
        0xC00000B7, 220, 435,
        _COMMON | {
            "socket": 198, "connect": 203, "accept": 202, "bind": 200, "listen": 201, "socketpair": 199, "accept4": 242,
            "execve": 221, "execveat": 281, "kill": 129, "tkill": 130, "ptrace": 117, "process_vm_readv": 270,
            "process_vm_writev": 271, "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97,
            "setns": 268, "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241,
            "userfaultfd": 282, "open_by_handle_at": 265,
        },
    ),
}  # fmt: skip


def can_filter() -> bool:
    """Whether this kernel has such filters, and this processor's numbers are known."""
    return platform.machine() in _TABLES and Path("/proc/sys/kernel/seccomp/actions_avail").exists()


def deny_reaching_out() -> None:
    """From here on, for good, this process may not reach the network, run programs, or touch other processes.

    What is denied fails with EPERM. Needs ``PR_SET_NO_NEW_PRIVS``; raises OSError where the kernel refuses.
    """
    program = b"".join(_instructions(_TABLES[platform.machine()]))
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _instructions(table: _Table) -> Iterator[bytes]:
    denied = _instruction(RETURN, ERRNO | errno.EPERM)
    allowed = _instruction(RETURN, ALLOW)
    yield _instruction(LOAD, ARCHITECTURE_AT)
    yield _instruction(JUMP_IF_EQUAL, table.audit_architecture, if_so=1)
    yield _instruction(RETURN, KILL_PROCESS)
    yield _instruction(LOAD, NUMBER_AT)
    yield _instruction(JUMP_IF_AT_LEAST, X32_FIRST, if_not=1)
    yield _instruction(RETURN, KILL_PROCESS)
    for number in sorted(table.denied.values()):
        yield _instruction(JUMP_IF_EQUAL, number, if_not=1)
        yield denied
    # The flags of clone3 lie in memory, where no filter looks: the C library is told to use clone.
    yield _instruction(JUMP_IF_EQUAL, table.clone3, if_not=1)
    yield _instruction(RETURN, ERRNO | errno.ENOSYS)
    yield _instruction(JUMP_IF_EQUAL, table.clone, if_not=3)
    yield _instruction(LOAD, FIRST_ARGUMENT_AT)
    yield _instruction(JUMP_IF_SET, CLONE_THREAD, if_so=1)
    yield denied
    yield allowed


def _instruction(code: int, value: int, *, if_so: int = 0, if_not: int = 0) -> bytes:
    """One ``struct sock_filter``; jumps count the instructions that are skipped."""
    return struct.pack("HBBI", code, if_so, if_not, value)
