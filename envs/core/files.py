"""Reading with limits, writing without ever leaving half a file behind."""

import os
from pathlib import Path

from .errors import InstanceError

MAX_TEXT_BYTES = 64 * 2**20


def read_text(path: str | Path, limit: int = MAX_TEXT_BYTES) -> str:
    """Read a UTF-8 text file that may come from anybody.

    Args:
        path: the file.
        limit: the largest size accepted, in bytes; checked before anything is read.

    Returns:
        The text.

    Raises:
        InstanceError: if the file is missing, not a regular file, too large or not UTF-8 text.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InstanceError("no such file" if not path.exists() else "not a regular file", str(path))
        size = path.stat().st_size
        if size > limit:
            raise InstanceError(f"{size} bytes, more than the limit of {limit}", str(path))
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InstanceError):
            raise
        raise InstanceError(f"cannot be read: {error}", str(path)) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InstanceError(f"not UTF-8 text: {error.reason} at byte {error.start}", str(path)) from error
    if "\x00" in text:
        raise InstanceError("not text: it holds a NUL byte", str(path))
    return text


def write_atomic(path: str | Path, data: bytes | str) -> None:
    """Write a file so that a crash leaves either the old content or the new one, never a part.

    Args:
        path: the file; its folder must exist.
        data: the whole content; text is encoded as UTF-8.

    Raises:
        OSError: if the folder is missing or the disk is full; the old file then still stands.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; some platforms cannot open a folder, and then there is nothing to do."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
