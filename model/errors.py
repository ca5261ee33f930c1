"""Every error that YuYin raises on purpose, by stable `code`; statuses are given in `service.errors`.

* YuyinError
  + MediaError              something is wrong with a media file that was handed in
    x NotMedia              not_media          no container that we can open
    x NoVideoStream         no_video_stream    media, but nothing to look at
    x NoAudioStream         no_audio_stream    media, but nothing to listen to
    x Encrypted             encrypted          protected by DRM (encv, enca, sinf boxes)
    x CannotDecode          cannot_decode      a known container that cannot be decoded
    x EmptyBody             empty_body         zero bytes
    x VideoTooLarge         video_too_large    more bytes or pixels than allowed
    x VideoTooLong          video_too_long     more seconds than allowed
    x VideoTooCostly        video_too_costly   more CPU or memory than allowed to decode
  + ArtifactError           something is wrong with a folder that we wrote
    x Corrupt               corrupt            a file differs from its manifest, or is missing
    x Mismatch              mismatch           parts made by different recipes or bundles
    x NotFound              not_found          no such snapshot, bundle, track, job
    x NotInstalled          not_installed      the weights of a backbone, or an optional package, are not here
  + InputError              something is wrong with what the user wrote
    x BadOptions            bad_options        an option is unknown or has a wrong value
    x BadDataset            bad_dataset        a dataset or pairs list cannot be used
    x BadPool               bad_pool           a pool or its catalogue cannot be used
    x IdempotencyMismatch   idempotency_mismatch  the key came with another request before
  + Busy                    something else has to end first
    x ReindexRunning        reindex_running    one reindex at a time
    x Overloaded            overloaded         too many requests in flight
    x StoreLocked           store_locked       another process is writing this store
    x JobEnded              job_ended          a job that has ended cannot be cancelled
    x NotReady              not_ready          no snapshot is loaded yet
    x NoAccelerator         no_accelerator     a GPU was required and cannot be used
    x NoSandbox             no_sandbox         a filter of system calls was required and the kernel takes none
    x DecoderLost           decoder_lost       the decoding process ended, and ended again
    x DeadlineExceeded      deadline_exceeded  the work took longer than a request may
    x Draining              draining           this process is about to end and takes nothing new
    x NotStored             not_stored         what was sent could not be written to disk
    x UploadsFull           uploads_full       no room for another upload that is to be kept
    x IdempotencyRunning    idempotency_running  the first request of this key is still worked on
  + BodyTooLarge            body_too_large     the body has more bytes than this route takes
  + UploadTooSlow           upload_too_slow    the body came too slowly to wait for it
  + Refused                 the caller may not do this
    x Unauthenticated       unauthenticated    no key, or an unknown one
    x Forbidden             forbidden          the key lacks the scope, or the host is fenced off
"""


class YuyinError(Exception):
    """Base class; `code` is stable and machine-readable, the message is one sentence with the fix in it."""

    code = "internal"


class MediaError(YuyinError):
    """A media file that was handed in cannot be used."""


class NotMedia(MediaError):
    """The bytes are no media container that we can open."""

    code = "not_media"


class NoVideoStream(MediaError):
    """Media, but without a picture."""

    code = "no_video_stream"


class NoAudioStream(MediaError):
    """Media, but without sound."""

    code = "no_audio_stream"


class Encrypted(MediaError):
    """Media protected by DRM."""

    code = "encrypted"


class CannotDecode(MediaError):
    """A known container whose contents cannot be decoded; a header cut off counts too."""

    code = "cannot_decode"


class EmptyBody(MediaError):
    """Zero bytes."""

    code = "empty_body"


class VideoTooLarge(MediaError):
    """More bytes, pixels or streams than the limits allow."""

    code = "video_too_large"


class VideoTooLong(MediaError):
    """More seconds than the limits allow."""

    code = "video_too_long"


class VideoTooCostly(MediaError):
    """Decoding took more CPU time or memory than the limits allow."""

    code = "video_too_costly"


class ArtifactError(YuyinError):
    """A folder that we wrote cannot be used."""


class Corrupt(ArtifactError):
    """A file is missing or differs from its manifest."""

    code = "corrupt"


class Mismatch(ArtifactError):
    """Two parts were made by different recipes or bundles."""

    code = "mismatch"


class NotFound(ArtifactError):
    """No such snapshot, bundle, track or job."""

    code = "not_found"


class NotInstalled(ArtifactError):
    """The weights of a backbone, or an optional package, are not here."""

    code = "not_installed"


class InputError(YuyinError):
    """What the user wrote cannot be used."""


class BadOptions(InputError):
    """An option is unknown or has a wrong value."""

    code = "bad_options"


class BadDataset(InputError):
    """A dataset folder or pairs list cannot be used."""

    code = "bad_dataset"


class BadPool(InputError):
    """A music pool or its catalogue cannot be used."""

    code = "bad_pool"


class Busy(YuyinError):
    """Something else has to end first."""


class ReindexRunning(Busy):
    """A reindex is running already."""

    code = "reindex_running"


class Overloaded(Busy):
    """Too many requests are in flight; where that is known, `retry_after_s` says when to come again."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        """The sentence, and whole seconds until a place may be free."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """This API key has sent more requests than it may; others are served."""

    code = "rate_limited"


class StoreLocked(Busy):
    """Another process is writing this store."""

    code = "store_locked"


class JobEnded(Busy):
    """The job has ended: it is too late to cancel it."""

    code = "job_ended"


class NotReady(Busy):
    """No snapshot is loaded yet."""

    code = "not_ready"


class NoAccelerator(Busy):
    """A GPU was required and cannot be used."""

    code = "no_accelerator"


class NoSandbox(Busy):
    """A filter of system calls was required around decoding, and the kernel takes none."""

    code = "no_sandbox"


class DecoderLost(Busy):
    """The decoding process ended in the middle of its work, and ended again; not the fault of a video."""

    code = "decoder_lost"


class DeadlineExceeded(Busy):
    """The work on a request took longer than it may, and was stopped."""

    code = "deadline_exceeded"


class Draining(Busy):
    """This process is about to end: it answers what it has begun and takes nothing new."""

    code = "draining"


class NotStored(Busy):
    """What was sent could not be written to the server's disk, which is full or gone."""

    code = "not_stored"


class UploadsFull(Busy):
    """The uploads that are kept take all the room there is; `retry_after_s` says when to look again."""

    code = "uploads_full"

    def __init__(self, message: str, *, retry_after_s: int = 60) -> None:
        """The sentence, and whole seconds until there may be room."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class IdempotencyRunning(Busy):
    """The first request under this Idempotency-Key has not been answered yet."""

    code = "idempotency_running"


class IdempotencyMismatch(InputError):
    """The Idempotency-Key came with another request before."""

    code = "idempotency_mismatch"


class BodyTooLarge(YuyinError):
    """The body of a request has more bytes than its route takes."""

    code = "body_too_large"


class UploadTooSlow(YuyinError):
    """The body of a request came too slowly, or stopped coming."""

    code = "upload_too_slow"


class Refused(YuyinError):
    """The caller may not do this."""


class Unauthenticated(Refused):
    """No key, or an unknown one."""

    code = "unauthenticated"


class Forbidden(Refused):
    """The key lacks the scope, or the host or origin is fenced off."""

    code = "forbidden"
