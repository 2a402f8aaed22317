"""Takes from this process what it does not need of the file system, for good: Landlock, https://docs.kernel.org/userspace-api/landlock.html."""

import ctypes
import os
import struct
import sys

# The same numbers on every architecture.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
PR_SET_NO_NEW_PRIVS = 38
# Rights that a kernel of the first, second, third and fifth version of Landlock knows.
KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}
# Abstract sockets and signals.
SCOPED = 1 | 2
READ = EXECUTE | READ_FILE | READ_DIR
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE


def restrict(readable, writable):
    """From now on this process and its children read and write below these paths alone, and signal each other alone.

    Says whether the system can do that. The sixth version of Landlock is the first that keeps signals in.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    handled = (1 << KNOWN.get(version, 16)) - 1
    attributes = struct.pack("=QQQ", handled, 0, SCOPED) if version >= 6 else struct.pack("=Q", handled)
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "cannot make a Landlock ruleset")
    for paths, rights in ((readable, READ), (writable, handled)):
        for path in paths:
            _allow(libc, ruleset, path, rights & handled)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot give up new privileges")
    if libc.syscall(RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) != 0:
        raise OSError(ctypes.get_errno(), "cannot apply the Landlock ruleset")
    os.close(ruleset)
    return True


def _allow(libc, ruleset, path, rights):
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", rights if os.path.isdir(path) else rights & OF_A_FILE, descriptor)
        if libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, ctypes.c_uint32(0)) != 0:
            raise OSError(ctypes.get_errno(), f"cannot allow {path}")
    finally:
        os.close(descriptor)
