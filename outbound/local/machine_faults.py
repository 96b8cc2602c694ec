"""
Finds what this machine lacks for servers of our own, read from an error or from a server's log, and the mend that fits.
"""

import errno
import os
import re
import shutil
from pathlib import Path

OTHER_DISK = "set OUTBOUND_DATA_DIR to a directory on another disk"
WRITABLE = "set OUTBOUND_DATA_DIR to a directory that this user can write"
# Where the shm_open of glibc keeps what the processes of PostgreSQL share.
SHARED_MEMORY = "/dev/shm"  # noqa: S108  # nosec B108
_FULL_BELOW = 1024 * 1024  # bytes; with less, a server cannot even write its log
_LARGER = "`docker run --shm-size=256m …`, or as root `mount -o remount,size=256m /dev/shm`"

# A line of a server's log, and the number of the error that it means.  The first that is found counts.
_BY_WORDS = (
    (r"No space left on device", errno.ENOSPC),
    (r"Disk quota exceeded", errno.EDQUOT),
    (r"Read-only file system", errno.EROFS),
    (r"Cannot allocate memory|out of memory|Out of memory", errno.ENOMEM),
    (r"Too many open files", errno.EMFILE),
    (r"Permission denied", errno.EACCES),
)


def of_text(text: str, directory: Path) -> str | None:
    """
    Return what a server, whose files are in *directory*, complains of in *text*; None for what is not of the machine.

    PostgreSQL's shared memory is not on the disk: a full /dev/shm has a mend of its own.
    """
    for line in text.splitlines():
        for words, number in _BY_WORDS:
            if not re.search(words, line):
                continue
            if "shared memory segment" in line or f"{SHARED_MEMORY}/" in line:
                return _of_shared_memory(number)
            if "semaphore" in line:
                return None  # ENOSPC of semget(2) speaks of the kernel's limits, which PostgreSQL explains itself
            return _of_number(number, directory)
    return _of_number(errno.ENOSPC, directory) if _is_full(directory) else None


def of_error(error: OSError, directory: Path) -> str | None:
    """Explain an OSError of our own, as `of_text` does; *directory* is where it happened, if it names no file."""
    if isinstance(error, shutil.Error):  # of copytree: one entry for each file that could not be copied
        return of_text(str(error.args[0][0][-1]), directory)
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else directory
    return _of_number(error.errno or 0, where)


def _of_shared_memory(number: int) -> str:
    if number != errno.ENOSPC:
        return (
            f"PostgreSQL may not write {SHARED_MEMORY}, where its processes share memory: let it be a tmpfs of mode "
            f"1777, as root `mount -t tmpfs -o mode=1777,size=256m tmpfs {SHARED_MEMORY}`"
        )
    size, free = _size_and_free(Path(SHARED_MEMORY))
    return f"{SHARED_MEMORY} is too small for PostgreSQL ({size}, {free} free): make it larger, {_LARGER}"


def _of_number(number: int, where: Path) -> str | None:
    directory = _nearest(where)
    match number:
        case errno.ENOSPC if _has_no_inodes(directory):
            return f"the disk of {directory} has no room for more files: remove some, or {OTHER_DISK}"
        case errno.ENOSPC:
            free = _size_and_free(directory)[1]
            return f"the disk of {directory} has no room for the servers ({free} free): make room, or {OTHER_DISK}"
        case errno.EDQUOT:
            return f"this user's quota on the disk of {directory} is used up: make room, or {OTHER_DISK}"
        case errno.EROFS:
            return f"{directory} is on a file system that is mounted read-only: mount it read-write, or {OTHER_DISK}"
        case errno.EACCES if os.statvfs(directory).f_flag & os.ST_NOEXEC:
            return f"{directory} is on a file system whose programs may not run (noexec): {OTHER_DISK}"
        case errno.EACCES | errno.EPERM | errno.ENOTDIR:
            return f"{where} cannot be written ({os.strerror(number)}): {WRITABLE}"
        case errno.ENOMEM:
            return "this machine has not enough memory for PostgreSQL: free some, or give the container more"
        case errno.EMFILE | errno.ENFILE:
            return "too many files are open: raise `ulimit -n`"
    return None


def _nearest(path: Path) -> Path:
    """The directory *path*, or the nearest one above it that exists."""
    return next(one for one in (path, *path.absolute().parents) if one.is_dir())


def _has_no_inodes(directory: Path) -> bool:
    found = os.statvfs(directory)
    return found.f_files > 0 and found.f_favail == 0


def _is_full(directory: Path) -> bool:
    found = os.statvfs(_nearest(directory))
    return found.f_bavail * found.f_frsize < _FULL_BELOW


def _size_and_free(directory: Path) -> tuple[str, str]:
    """Return how large the file system of *directory* is, and how much of it this user may still write."""
    found = os.statvfs(directory)
    return _in_words(found.f_blocks * found.f_frsize), _in_words(found.f_bavail * found.f_frsize)


def _in_words(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 10_000:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GB"
