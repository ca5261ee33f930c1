"""A repository and a revision in, one commit's list of files and their bytes out.

The only module that imports huggingface_hub, which reads HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and HF_HOME
when it is imported. Of its own downloaders none continues a file after the process ended (2.4 gives each
run a temporary name of its own), so bytes are read here, through its session: same token, proxies, offline
switch and user agent.
"""

import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from model.errors import BadOptions, NotFound, NotInstalled

TIMEOUT_S = 30.0  # between two bytes, not of a download
TOO_MANY, SERVER_FAULT = 429, 500  # HTTP statuses that pass
COMMIT = re.compile("[0-9a-f]{40}")
SHA256 = re.compile("[0-9a-f]{64}")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
BOT = "SFconvertbot"  # of Hugging Face itself
BOT_TITLE = "Adding `safetensors` variant of this model"
BY_HAND = "or bring the files from another machine with `yuyin models import FOLDER`"


class Interrupted(NotInstalled):
    """The connection broke; asking again may help."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the hub says of a file before it is downloaded."""

    size: int  # bytes
    sha256: str | None  # of files in its large-file storage
    git_sha1: str  # of the others: git's hash of the content


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a repository."""

    repo: str
    revision: str  # 40 hex digits
    asked: str  # the branch, tag or commit that was resolved
    licence: str | None  # as its card says
    files: dict[str, RemoteFile]  # those that any reader may have; names are the hub's: never a path here


class Hub:
    """Hugging Face, or what HF_ENDPOINT names instead of it."""

    def __init__(self, endpoint: str | None = None) -> None:
        # To know its caller it would ask the hub for a list of programs and keep that in ~/.cache.
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            import huggingface_hub.errors
            import huggingface_hub.hf_api
            import huggingface_hub.utils
        except ImportError as error:
            raise NotInstalled(
                f"pulling needs huggingface_hub: pip install 'yuyin[paper]', {BY_HAND}"
            ) from error
        except ValueError as error:
            raise BadOptions(
                f"HF_ENDPOINT or another HF_ variable is of no use ({error}): mend it"
            ) from error
        self._library: Any = huggingface_hub
        self._api: Any = self._library.HfApi(endpoint=endpoint, library_name="yuyin")
        # httpx, or the fork of it that this version of the library uses
        self._http: Any = import_module(self._library.errors.HTTPError.__module__.partition(".")[0])
        try:
            self._session().timeout = TIMEOUT_S  # its default is to wait for ever
        except (ValueError, ImportError, self._http.InvalidURL) as error:
            raise BadOptions(f"the proxy that is set is of no use ({error}): mend or unset it") from error
        except OSError as error:
            raise BadOptions(
                f"SSL_CERT_FILE or SSL_CERT_DIR names certificates that cannot be read ({error}): mend or "
                "unset it"
            ) from error

    @property
    def endpoint(self) -> str:
        """Where it is, as it may be said: without a mirror's user and password."""
        return re.sub("//[^/]*@", "//", str(self._api.endpoint))

    def commit(self, repo: str, revision: str) -> Commit:
        """Resolve a branch, tag, `refs/pr/N` or commit.

        Raises:
            NotInstalled: if the hub cannot be reached, is switched off, or does not let us read.
            NotFound: if there is no such repository or revision.
        """
        with self._plainly(repo, revision):
            info = self._api.model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
            found = str(info.sha)
            if not COMMIT.fullmatch(found) or (COMMIT.fullmatch(revision) and found != revision):
                raise ValueError(f"commit {found}")
            files = {file.rfilename: _remote_file(file) for file in info.siblings}
            licence = _licence(info.card_data.get("license")) if info.card_data else None
        return Commit(repo, found, revision, licence, files)

    def conversion(self, base: Commit, names: Collection[str]) -> Commit | None:
        """The commit of the pull request by which the hub's own bot adds safetensors to `base`, if any.

        As transformers does (safetensors_conversion.py): it must be open, be the bot's, have its title and
        sit directly on `base`. Beyond that it must leave those of `names` alone that `base` has.
        """
        with self._plainly(base.repo, base.asked):
            numbers = [
                int(each.num)
                for each in self._api.get_repo_discussions(
                    base.repo, author=BOT, discussion_type="pull_request", discussion_status="open"
                )
                if (each.author, each.title, each.status) == (BOT, BOT_TITLE, "open")
            ]
        for number in numbers:
            made = self.commit(base.repo, f"refs/pr/{number}")
            same = all(made.files.get(name) == base.files[name] for name in names if name in base.files)
            if same and self._history(made)[:2] == [made.revision, base.revision]:
                return made
        return None

    def _history(self, commit: Commit) -> list[str]:
        """Commits up to this one, newest first; the library's own call knows no timeout."""
        address = f"{self._api.endpoint}/api/models/{commit.repo}/commits/{commit.revision}"
        with self._plainly(commit.repo, commit.asked):
            answer = self._session().get(address, headers=self._headers())
            self._library.utils.hf_raise_for_status(answer)
            return [str(each["id"]) for each in answer.json()]

    def _session(self) -> Any:
        return self._library.utils.get_session()

    def _headers(self) -> dict[str, str]:
        return dict(self._library.utils.build_hf_headers(library_name="yuyin"))

    @contextmanager
    def download(self, commit: Commit, name: str, start: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Bytes of a file from `start` on; gives where they really start, which is 0 if the hub has no parts.

        Raises:
            Interrupted: if the connection breaks, now or while the bytes are read.
            NotInstalled, NotFound: as `commit` does.
        """
        url = self._library.hf_hub_url(
            commit.repo, name, revision=commit.revision, endpoint=self._api.endpoint
        )
        headers = self._headers() | {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with self._plainly(commit.repo, commit.revision):
            opened = self._session().stream("GET", url, headers=headers)
            response = opened.__enter__()
        try:
            if response.status_code == 416 and start:
                yield 0, iter(())  # other bytes than those that we have a part of: begin again
                return
            with self._plainly(commit.repo, commit.revision):
                self._library.utils.hf_raise_for_status(response)
            continued = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            yield (start if response.status_code == 206 and continued else 0), self._chunks(commit, response)
        finally:
            opened.__exit__(None, None, None)

    def _chunks(self, commit: Commit, response: Any) -> Iterator[bytes]:
        with self._plainly(commit.repo, commit.revision):
            yield from response.iter_bytes()  # as they come: of a chunk of some size, a cut would lose a part

    @contextmanager
    def _plainly(self, repo: str, revision: str) -> Iterator[None]:
        """Say in one sentence what huggingface_hub and its HTTP library raise."""
        errors = self._library.errors
        try:
            yield
        except errors.OfflineModeIsEnabled as error:
            raise NotInstalled(
                f"{repo} is not here, and HF_HUB_OFFLINE forbids to ask for it: unset it, {BY_HAND}"
            ) from error
        except errors.HfHubHTTPError as error:
            raise self._refusal(error, repo, revision) from error
        except (self._http.HTTPError, self._http.InvalidURL) as error:
            raise Interrupted(
                f"{self.endpoint} does not answer, or stopped to ({_short(error)}): check the network, "
                f"HF_ENDPOINT and proxies, {BY_HAND}; the same command goes on from what is there"
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise NotInstalled(
                f"{self.endpoint} does not answer about {repo} as Hugging Face does ({_short(error)}): "
                f"check HF_ENDPOINT and proxies, {BY_HAND}"
            ) from error

    def _refusal(self, error: Any, repo: str, revision: str) -> NotFound | NotInstalled:
        errors, status = self._library.errors, error.response.status_code
        match error:
            case errors.GatedRepoError():
                return NotInstalled(
                    f"{repo} is gated: ask for access at {self.endpoint}/{repo}, then set HF_TOKEN to "
                    "a token of yours"
                )
            case errors.RevisionNotFoundError():
                return NotFound(f"{repo} has no revision {revision!r}: check --revision")
            case errors.RemoteEntryNotFoundError():
                return NotFound(f"{repo} ({revision[:8]}) lacks a file that it lists: try again, {BY_HAND}")
            case errors.RepositoryNotFoundError():
                return NotFound(
                    f"{self.endpoint} has no {repo}, or shows it only to some ({status}): check HF_ENDPOINT, "
                    f"and set HF_TOKEN if it is private, {BY_HAND}"
                )
        return self._unread(repo, status)

    def _unread(self, repo: str, status: int) -> NotInstalled:
        if status in (401, 403):
            return NotInstalled(
                f"{self.endpoint} does not let us read {repo} ({status}): set HF_TOKEN to a token that may"
            )
        if status == TOO_MANY or status >= SERVER_FAULT:
            return Interrupted(
                f"{self.endpoint} refuses {repo} for now ({status}): try again later, {BY_HAND}; "
                "the same command goes on from what is there"
            )
        return NotInstalled(
            f"{self.endpoint} does not answer about {repo} as Hugging Face does ({status}): "
            f"check HF_ENDPOINT and proxies, {BY_HAND}"
        )


def _remote_file(file: Any) -> RemoteFile:
    sha256 = file.lfs.sha256 if file.lfs else None
    if not isinstance(file.size, int) or file.size < 0 or (sha256 and not SHA256.fullmatch(sha256)):
        raise ValueError(f"size {file.size}, sha256 {sha256}")
    return RemoteFile(file.size, sha256, str(file.blob_id))


def _licence(card: Any) -> str | None:
    """As it may be printed: whoever wrote the card could put a terminal's commands there."""
    names = card if isinstance(card, list) else [card] if card else []
    return ", ".join("".join(filter(str.isprintable, str(name))) for name in names) or None


def _short(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
