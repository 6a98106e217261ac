"""Checkpoints at a URL that all nodes reach, by fsspec: ``s3://bucket/folder``, ``gs://``, ``sftp://``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from scaler.errors import UserError


@dataclass(frozen=True)
class Store:
    """A folder at a URL.

    Attributes:
        url: of the folder; it is made with the first file.

    Raises:
        UserError: by every method, where the URL cannot be reached.
    """

    url: str

    def read(self, name: str) -> bytes | None:
        """The content of a file, if there is one."""
        with self._reached() as (files, folder), contextlib.suppress(FileNotFoundError):
            content: bytes = files.cat_file(f"{folder}/{name}")
            return content
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file beside, then in its place."""
        with self._reached() as (files, folder):
            files.makedirs(folder, exist_ok=True)
            files.pipe_file(f"{folder}/.{name}.part", content)
            files.mv(f"{folder}/.{name}.part", f"{folder}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        with self._reached() as (files, folder), contextlib.suppress(FileNotFoundError):
            files.rm_file(f"{folder}/{name}")

    @contextlib.contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        try:
            yield fsspec.url_to_fs(self.url)
        except FileNotFoundError:
            raise
        # Every kind of store has its own errors for what is wrong there.
        except Exception as error:
            # It brings Optuna along, which every process of Ray's would import for nothing.
            from scaler.execution.storage import hidden

            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"--checkpoints {hidden(self.url, self.url)} cannot be used ({hidden(reason, self.url)}): "
                "give a URL that all nodes reach, such as s3://bucket/folder, and install what it needs on "
                "each (pip install s3fs)."
            ) from None
