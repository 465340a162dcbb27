"""Files of the record (images, signals, genomes, documents), each kept once under the digest of its content.

In a site that encrypts at rest a file is sealed in chunks, so that a part of a large one is read without
the rest: AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015), under a
key of its own derived from the site's key and the file's digest, the chunk's number and whether it is the
last one in the nonce. A chunk that was altered, moved, left out or taken from another file does not open.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medloom.foundation.errors import InputError, IntegrityError, KeyUnavailableError, NotFoundError
from medloom.foundation.files import remove, replacing, storage_errors, sync
from medloom.foundation.hashing import sha256_file
from medloom.foundation.site import SiteDirectory
from medloom.record.vault import Vault

CHUNK: Final = 65_536
_TAG: Final = 16
_MAGIC: Final = b"MLASSET1"
_HEADER: Final = len(_MAGIC) + 7  # and the random beginning of all nonces
_SEALED: Final = ".sealed"
_NAME = re.compile(r"sha256:([0-9a-f]{64})")


class Assets:
    """The files of a site; with a vault, those it writes are sealed.

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> assets = Assets(SiteDirectory(Path(folder.name)))
    >>> name = assets.put(b"a scan")
    >>> name[:15], assets.read(name)
    ('sha256:5bb626f4', b'a scan')
    """

    def __init__(self, site: SiteDirectory, vault: Vault | None = None) -> None:
        self._folder = site.assets / "sha256"
        self._key = None if vault is None else vault.derived("assets")

    def put(self, content: bytes | Path) -> str:
        """Keep a file, or bytes; gives its name `sha256:…`. What is kept already is not written again,
        unless it was kept plain and is to be sealed now.

        Raises:
            StorageError: the disk is full, read-only or not permitted; nothing was kept.
        """
        with storage_errors(self._folder.parent), _opened(content) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
            name = f"sha256:{digest}"
            path = self._path(digest)
            plain = path.exists()
            if path.with_suffix(_SEALED).exists() or (plain and self._key is None):
                if plain and self._key is not None:
                    remove(path)  # killed between the two
                return name
            file.seek(0)
            with replacing(path if self._key is None else path.with_suffix(_SEALED)) as temporary:
                temporary.chmod(0o600)
                with temporary.open("wb") as target:
                    again = _copied(file, target) if self._key is None else self._sealed(digest, file, target)
                if again != digest:
                    raise InputError("a file changed while it was read; repeat when it is complete")
            if plain:
                remove(path)
        return name

    def put_written(self, write: Callable[[BinaryIO], None]) -> str:
        """Keep what `write` writes into a file that it is handed; gives its name as `put` does.

        A plain file is written once, where it stays; one to be sealed is in memory until then, never on the disk.

        Raises:
            StorageError: the disk is full, read-only or not permitted; nothing was kept.
        """
        if self._key is not None:
            memory = io.BytesIO()
            write(memory)
            return self.put(memory.getvalue())
        with storage_errors(self._folder.parent):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, temporary_name = tempfile.mkstemp(prefix=".incoming-", dir=self._folder)
            temporary = Path(temporary_name)
            with open(handle, "w+b") as file:
                try:
                    write(file)
                    file.flush()
                    path = self._path(sha256_file(temporary))
                    if path.exists() or path.with_suffix(_SEALED).exists():
                        remove(temporary)
                        return f"sha256:{path.name}"
                    path.parent.mkdir(exist_ok=True)
                    sync(temporary)
                    temporary.replace(path)
                    sync(path.parent)
                except BaseException:
                    remove(temporary)
                    raise
        return f"sha256:{path.name}"

    def open(self, asset: str) -> BinaryIO:
        """Open a file for reading and seeking; its content is what its name says.

        A plain file is digested first; of a sealed one each part is verified as it is read.

        Raises:
            NotFoundError: there is no such asset.
            IntegrityError: the file was altered.
            KeyUnavailableError: it is sealed and no vault was given.
        """
        digest = _digest(asset)
        path = self._path(digest)
        if path.exists():
            file = path.open("rb")
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                file.close()
                raise _altered()
            file.seek(0)
            return file
        sealed = path.with_suffix(_SEALED)
        if not sealed.exists():
            raise NotFoundError("the record has no file with this digest; import it again")
        if self._key is None:
            raise KeyUnavailableError("this file is sealed; open the site with its key to read it")
        return io.BufferedReader(_SealedFile(sealed.open("rb"), self._cipher(digest), digest), CHUNK)

    def read(self, asset: str) -> bytes:
        """Read a whole file; raises as `open` does."""
        with self.open(asset) as file:
            return file.read()

    def __contains__(self, asset: object) -> bool:
        path = self._path(_digest(str(asset)))
        return path.exists() or path.with_suffix(_SEALED).exists()

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("??/*")):
            if _NAME.fullmatch(name := f"sha256:{path.stem}"):
                yield name

    def discard(self, assets: Iterable[str]) -> None:
        """Remove files; those that are not there are no error."""
        for asset in assets:
            path = self._path(_digest(asset))
            remove(path)
            remove(path.with_suffix(_SEALED))

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _cipher(self, digest: str) -> AESGCM:
        assert self._key is not None
        return AESGCM(hashlib.blake2b(bytes.fromhex(digest), key=self._key, digest_size=32).digest())

    def _sealed(self, digest: str, source: BinaryIO, target: BinaryIO) -> str:
        """Seal `source` into `target`; gives the digest of what was read."""
        cipher, prefix, seen = self._cipher(digest), os.urandom(7), hashlib.sha256()
        target.write(_MAGIC + prefix)
        chunk, number = source.read(CHUNK), 0
        while True:
            following = source.read(CHUNK)
            seen.update(chunk)
            target.write(cipher.encrypt(_nonce(prefix, number, last=not following), chunk, digest.encode()))
            if not following:
                return seen.hexdigest()
            chunk, number = following, number + 1


class _SealedFile(io.RawIOBase):
    """Reads a sealed file from any place in it."""

    def __init__(self, file: BinaryIO, cipher: AESGCM, digest: str) -> None:
        self._file = file
        self._cipher = cipher
        self._digest = digest.encode()
        header = file.read(_HEADER)
        body = file.seek(0, io.SEEK_END) - _HEADER
        chunks, rest = divmod(body, CHUNK + _TAG)
        if not header.startswith(_MAGIC) or body < _TAG or 0 < rest < _TAG:
            file.close()
            raise _altered()
        self._prefix = header[len(_MAGIC) :]
        self._chunks = chunks + (rest > 0)
        self._size = body - self._chunks * _TAG
        self._place = 0
        self._chunk(self._chunks - 1)  # a file cut at the edge of a chunk has no last one

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(start + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._place >= self._size:
            return 0
        number, start = divmod(self._place, CHUNK)
        piece = self._chunk(number)[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _chunk(self, number: int) -> bytes:
        self._file.seek(_HEADER + number * (CHUNK + _TAG))
        sealed = self._file.read(CHUNK + _TAG)
        nonce = _nonce(self._prefix, number, last=number == self._chunks - 1)
        try:
            return self._cipher.decrypt(nonce, sealed, self._digest)
        except InvalidTag:
            self._file.close()
            raise _altered() from None


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + struct.pack(">IB", number, last)


def _digest(asset: str) -> str:
    found = _NAME.fullmatch(asset)
    if found is None:
        raise InputError("an asset is named sha256: and 64 hexadecimal digits")
    return found[1]


def _opened(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _copied(source: BinaryIO, target: BinaryIO) -> str:
    shutil.copyfileobj(source, target, 1 << 20)
    target.flush()
    with open(target.name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _altered() -> IntegrityError:
    return IntegrityError("a file of the record was altered or cut short; restore assets/ from a copy")
