"""YUYIN_* variables in, one frozen `Settings` out; read at the edge, passed down as arguments."""

import os
import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from model.backbones.folder import default_models
from model.backbones.loaded import Backbones
from model.errors import BadOptions
from model.media.streams import VideoLimits
from model.runtime.accelerator import Accelerator, Policy, Provider

Scope = Literal["recommend", "catalogue", "admin"]
SCOPES: tuple[Scope, ...] = ("recommend", "catalogue", "admin")

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
_VIDEO = VideoLimits()  # one place for the numbers of design section 8
_field = partial(Field, gt=0)


class Limits(BaseModel):
    """What one uploaded video may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int = _field(default=_VIDEO.max_bytes, description="Largest upload, in bytes.")
    max_duration_s: float = _field(default=_VIDEO.max_duration_s, description="Longest video, in seconds.")
    max_side_px: int = _field(default=_VIDEO.max_side_px, description="Largest width or height, in pixels.")
    max_streams: int = _field(default=_VIDEO.max_streams, description="Most streams in one container.")
    max_memory_bytes: int = _field(
        default=_VIDEO.max_memory_bytes, description="Memory that the process decoding one video may use."
    )
    max_cpu_s: float = _field(default=_VIDEO.max_cpu_s, description="CPU seconds to decode one video.")
    max_wall_s: float = _field(
        default=_VIDEO.max_wall_s, description="Wall-clock seconds to decode one video; against hangs only."
    )
    decoder_threads: int = _field(
        default=_VIDEO.decoder_threads, description="Threads that decode one video."
    )

    def for_video(self) -> VideoLimits:
        """The same numbers as the decoder takes them."""
        return VideoLimits(**self.model_dump())


class KeyEntry(BaseModel):
    """One API key: only its hash is kept, so that a leaked configuration opens nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="Hex sha256 of the key; keys are 256 random bits, so it cannot be guessed back."
    )
    scopes: frozenset[Scope] = Field(
        default=frozenset({"recommend"}), description="What the key opens: recommend, catalogue, admin."
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it stops to open anything, such as 2026-12-31T00:00:00Z."
    )
    rate_per_s: float | None = Field(
        default=None, ge=0, description="In the place of `YUYIN_RATE_PER_S` for this key; 0: no limit."
    )
    burst: int | None = Field(default=None, ge=1, description="In the place of `YUYIN_RATE_BURST`.")


def _twice_the_cores() -> int:
    return 2 * len(os.sched_getaffinity(0))  # not os.cpu_count(): a container may have fewer


class Settings(BaseSettings):
    """Everything that can be set about the service; each as YUYIN_<NAME>, nested ones with `__` between."""

    model_config = SettingsConfigDict(
        env_prefix="YUYIN_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    store: Path = Field(default=Path("store"), description="Folder of bundles, snapshots, features and jobs.")
    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on; without keys only a loopback address is accepted.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    pools: dict[str, Path] = Field(
        default_factory=dict,
        description='Music folders by name, as JSON such as {"house": "/music"}; '
        "/admin/reindex takes a name, never a path.",
    )
    default_pool: str | None = Field(
        default=None,
        description="The pool that /admin/reindex takes when none is named; the only one if there is one.",
    )
    keys: dict[str, KeyEntry] = Field(
        default_factory=dict, description="API keys by name, hashed: {name: {sha256, scopes}}, as JSON."
    )
    keys_file: Path | None = Field(
        default=None,
        description="JSON file with more entries of the form of `keys`; changes are in force within 1 s.",
    )
    limits: Limits = Field(default_factory=Limits, description="What one uploaded video may cost.")
    samples: Path | None = Field(
        default=None,
        description="Folder of a few short clips (.mp4, .webm) that the page offers to try it with.",
    )
    in_flight: int = Field(
        default_factory=_twice_the_cores, ge=1, description="Videos worked on at once; default 2 x cores."
    )
    queue: int = Field(
        default=32,
        ge=0,
        description="Videos that may wait beyond those; the next is answered 429 overloaded.",
    )
    top_k_default: int = Field(
        default=10, ge=1, le=100, description="Tracks returned when none are asked for."
    )
    top_k_max: int = Field(default=100, ge=1, le=100, description="Most tracks one answer may hold.")
    models: Path = Field(
        default_factory=default_models,
        description="Folder of pretrained networks, see `yuyin models`; the profile lite needs none.",
    )
    accelerator: Policy = Field(
        default="prefer",
        description="Where pretrained networks and the search run: a GPU or not at all (require), a GPU if "
        "there is one (prefer), or the CPU (cpu).",
    )
    accelerator_providers: tuple[Provider, ...] = Field(
        default=("cuda",),
        min_length=1,
        description='What ONNX Runtime tries on a GPU, in this order, as JSON such as ["tensorrt", "cuda"].',
    )
    accelerator_device: int = Field(default=0, ge=0, description="Which of several GPUs.")
    accelerator_memory_bytes: int | None = Field(
        default=None, gt=0, description="Most memory of the GPU that one network may take; default: no bound."
    )
    batch_wait_ms: float = Field(
        default=4.0,
        ge=0,
        description="How long the frames of a request wait for those of others to share a batch, on a GPU.",
    )
    unknown_licences: Literal["auto", "return", "exclude"] = Field(
        default="auto",
        description="Tracks without licence facts: returned while no track has any (auto), always (return), "
        "or never (exclude).",
    )
    follow_s: float = Field(
        default=1.0,
        gt=0,
        description="How often STORE/CURRENT is looked at for a snapshot activated elsewhere.",
    )
    processes: int = Field(
        default=1, ge=1, description="Service processes on this machine; more than one needs `redis_url`."
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Redis that service processes, replicas and workers share, as redis://, rediss:// or "
        "unix://; with it, jobs are run by `yuyin worker`.",
    )
    redis_prefix: str = Field(
        default="yuyin",
        pattern=r"^[a-z0-9_-]{1,32}$",
        description="What every key in Redis begins with; deployments that share one each need their own.",
    )

    sandbox: Literal["require", "prefer"] = Field(
        default="require",
        description="Whether uploads are decoded where the kernel takes no filter of system calls: "
        "not at all (require), or within resource limits alone (prefer); `yuyin doctor` says what holds.",
    )
    deadline_s: float = Field(
        default=120.0,
        gt=0,
        description="Seconds that a request may wait and be worked on once its body is there; then it is "
        "stopped and answered 429 overloaded (still waiting) or 503 deadline_exceeded.",
    )
    upload_idle_s: float = Field(
        default=15.0,
        gt=0,
        description="Seconds without a byte of a body after which it is given up, 408 upload_too_slow.",
    )
    upload_bytes_per_s: float = Field(
        default=16_384,
        ge=0,
        description="Mean rate below which a body is given up, measured once `upload_idle_s` have passed.",
    )
    cache_s: float = Field(
        default=3600.0,
        ge=0,
        description="Seconds for which an answer is kept for whoever asks the same again; 0: not at all.",
    )
    upload_ttl_s: float = Field(
        default=3600.0, gt=0, description="Seconds for which /v1/uploads keeps a video; then it is deleted."
    )
    uploads_max_bytes: int = Field(
        default=20_000_000_000, gt=0, description="Most bytes that all kept uploads may take together."
    )
    drain_s: float = Field(
        default=30.0,
        ge=0,
        description="Seconds after SIGTERM in which begun requests are finished and new ones are refused.",
    )

    rate_per_s: float = Field(
        default=10.0,
        ge=0,
        description="Requests that cost work, a second and key; more are 429 rate_limited. 0: no limit. "
        "Without keys there is none.",
    )
    rate_burst: int = Field(default=40, ge=1, description="How many of those a key may send at once.")
    cors_origins: tuple[str, ...] = Field(
        default=(),
        description="Web origins that may call from a browser, as JSON such as "
        '["https://panel.example"]; "null" is the one of local files. None by default.',
    )
    admin_host: str | None = Field(
        default=None,
        description="Address on which /admin/... and /metrics are answered, and nowhere else; "
        "needs `admin_port`.",
    )
    admin_port: int | None = Field(default=None, ge=1, le=65535, description="Port of `admin_host`.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of what is logged; a line a request is info."
    )

    @property
    def backbones(self) -> Backbones:
        """The pretrained networks of this machine, and where they run."""
        accelerator = Accelerator(
            self.accelerator,
            self.accelerator_providers,
            self.accelerator_device,
            self.accelerator_memory_bytes,
        )
        return Backbones(self.models.expanduser(), accelerator=accelerator)

    @model_validator(mode="after")
    def _defaults_exist(self) -> "Settings":
        if self.default_pool is not None and self.default_pool not in self.pools:
            raise ValueError(f"default_pool {self.default_pool!r} is not one of pools: {sorted(self.pools)}")
        if self.top_k_default > self.top_k_max:
            raise ValueError("top_k_default is larger than top_k_max")
        return self

    @model_validator(mode="after")
    def _admin_is_an_address_of_its_own(self) -> "Settings":
        if (self.admin_host is None) is not (self.admin_port is None):
            raise ValueError("admin_host and admin_port need each other: set both, or none")
        if self.admin_port is not None and self.admin_port == self.port:
            raise ValueError("admin_port is the port of all others: take another one")
        return self

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "null" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin: scheme://host or scheme://host:port, lower case")
        return origins

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("has to begin with redis://, rediss:// or unix://")
        return url


def read_settings(**given: Any) -> Settings:
    """Settings from the environment, with what is given in the place of theirs.

    Raises:
        BadOptions: naming every variable at fault, never its value: it may be a key.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        faults = (_fault(each["loc"], each["msg"]) for each in error.errors())
        raise BadOptions("; ".join(faults)) from error
    except SettingsError as error:  # its text names the field and nothing else
        field = re.search('field "(.+?)"', str(error))
        raise BadOptions(_fault((field[1] if field else "variable",), "is no JSON")) from error


def _fault(place: tuple[str | int, ...], message: str) -> str:
    """("limits", "max_bytes"), "is ..." -> "YUYIN_LIMITS__MAX_BYTES: is ..."; some faults have no place."""
    return f"YUYIN_{'__'.join(map(str, place)).upper()}: {message}" if place else message
