"""A video, or what was sent in its place, and options in, the answer in the wire format out; no HTTP."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from model.artifact import sha256_of
from model.errors import BadOptions
from model.media.child import Decoder
from model.media.streams import VideoStreams
from service.ranking import recommender
from service.ranking.recommender import Picture, Query, Ranked, Stopwatch
from service.ranking.sent import picture_of, streams_of
from service.schemas.options import Options
from service.schemas.question import Question
from service.schemas.recommendation import Recommendation, Result, Segment, VideoSeen
from service.schemas.rights import LicenceFacts
from service.serving.current import Serving
from service.serving.rightsbook import Ruling


def answer(
    serving: Serving,
    ruling: Ruling,
    decoder: Decoder,
    video: Path,
    options: Options,
    top_k: int,
    request_id: str,
    clock: Stopwatch,
    *,
    sha256: str | None = None,
) -> Recommendation:
    """Decode, rank and describe, on one (snapshot, bundle) from here to the end.

    Args:
        serving: the pair that answers.
        ruling: the rights over it.
        decoder: of the video.
        video: the file.
        options: all but `top_k`.
        top_k: how many tracks.
        request_id: of the answer.
        clock: running since the request came.
        sha256: of the file, where it is known.

    Raises:
        MediaError: by what is wrong with the file.
        BadOptions: if the asked part of the video is empty, or as `recommender.answer_for`.
        NotInstalled: if a text needs a network that is not here.
    """
    if sha256 is None:
        with clock.stage("hash"):
            sha256 = sha256_of(video)
    with clock.stage("decode"):
        streams = decoder.read_video(
            video, serving.profile.recipe, start_s=options.start_s, end_s=options.end_s
        )
    ranked = recommender.recommend(serving, ruling, streams, query_of(options, top_k), clock)
    seen = _seen(streams, sha256, ranked)
    return _Told(serving, ruling, ranked, seen, streams.warnings).told(request_id, clock)


def answer_sent(
    serving: Serving,
    ruling: Ruling,
    decoder: Decoder,
    question: Question,
    top_k: int,
    request_id: str,
    clock: Stopwatch,
) -> Recommendation:
    """The same for frames or features that were sent in the place of a video.

    Raises:
        ForeignRecipe: for features that were made otherwise than the bundle's.
        MediaError: by what is wrong with a picture.
        BadOptions: if what was sent does not fit the bundle, or as `recommender.answer_for`.
    """
    if question.upload_id is not None:
        raise BadOptions("a body that names an upload_id is a short one: leave out what it does not need")
    query = query_of(question.options, top_k)
    if question.features is not None:
        picture = picture_of(serving.bundle, question)
        ranked = recommender.answer_for(serving, ruling, picture, query, clock)
        return _Told(serving, ruling, ranked, _unseen(picture, ranked)).told(request_id, clock)
    with clock.stage("decode"):
        streams = streams_of(serving, decoder, question)
    ranked = recommender.recommend(serving, ruling, streams, query, clock)
    seen = _seen(streams, None, ranked).model_copy(update={"fps": None, "rotation": None})
    return _Told(serving, ruling, ranked, seen, streams.warnings).told(request_id, clock)


@dataclass(frozen=True, slots=True)
class _Told:
    """All that an answer says but who asked."""

    serving: Serving
    ruling: Ruling
    ranked: Ranked
    seen: VideoSeen
    warnings: tuple[str, ...] = ()

    def told(self, request_id: str, clock: Stopwatch) -> Recommendation:
        ranked, serving = self.ranked, self.serving
        return Recommendation(
            request_id=request_id,
            snapshot=serving.snapshot.id,
            bundle=serving.bundle.id,
            rights=self.ruling.version,
            recipe=serving.bundle.recipe,
            warnings=list(self.warnings),
            video=self.seen,
            results=[_result(serving, self.ruling, ranked, i) for i in range(len(ranked.matches))],
            no_good_match=ranked.no_good_match,
            excluded=ranked.excluded,
            timings_ms=clock.timings_ms | {"total": clock.total_ms},
        )


def lasting(found: Recommendation) -> bytes:
    """An answer as JSON without what is this request's alone."""
    return found.model_dump_json(exclude={"request_id", "timings_ms"}).encode()


def whole(kept: bytes, request_id: str, clock: Stopwatch) -> bytes:
    """A request's own answer around a `lasting` one; nothing is parsed."""
    timings = json.dumps(clock.timings_ms | {"total": clock.total_ms}, separators=(",", ":"))
    return b'{"request_id":"%s",%s,"timings_ms":%s}' % (request_id.encode(), kept[1:-1], timings.encode())


def query_of(options: Options, top_k: int) -> Query:
    """What the options ask of the ranking."""
    references = options.reference_track_ids
    return Query(
        top_k,
        options.filters.for_search(),
        options.filters.licence.use(),
        text=options.text,
        references=tuple(zip(references, options.weights or (1.0,) * len(references), strict=True)),
        max_per_artist=options.max_per_artist,
        diversity=options.diversity,
        segments_per_track=options.segments_per_track,
    )


def _unseen(picture: Picture, ranked: Ranked) -> VideoSeen:
    return VideoSeen(
        sha256=None,
        duration_s=round(picture.length_s, 6),
        width_px=None,
        height_px=None,
        fps=None,
        rotation=None,
        frames_used=None,
        cuts_s=ranked.cuts_s,
    )


def _seen(streams: VideoStreams, sha256: str | None, ranked: Ranked) -> VideoSeen:
    info = streams.info
    return VideoSeen(
        sha256=sha256,
        duration_s=round(info.duration_s, 6),
        width_px=info.width_px,
        height_px=info.height_px,
        fps=round(info.fps, 4),
        rotation=info.rotation,
        frames_used=len(streams.frames),
        cuts_s=ranked.cuts_s,
    )


def _result(serving: Serving, ruling: Ruling, ranked: Ranked, i: int) -> Result:
    match, verdict = ranked.matches[i], ranked.verdicts[i]
    facts = serving.snapshot.catalogue.facts(match.track)
    names = ("track_id", "external_id", "title", "artist", "bpm", "key", "loudness_lufs")
    segments = [
        Segment(
            start_s=round(span.start_s, 4),
            end_s=round(span.end_s, 4),
            score=span.score,
            ends_early=span.ends_early,
        )
        for span in match.spans
    ]
    found = {"rank": i + 1, "score": match.score, "segments": segments, **asdict(verdict)}
    found["licence"] = licence_of(ruling, facts["track_id"])
    found["reasons"] = [asdict(reason) for reason in ranked.reasons[i]]
    return Result.model_validate(
        {**found, **{name: facts[name] for name in names}, **media_urls(facts["track_id"])}
    )


def licence_of(ruling: Ruling, track_id: str) -> LicenceFacts | None:
    """What is known of the rights to a track; None where nobody said anything."""
    licence = ruling.licence(track_id)
    return None if licence is None else LicenceFacts.of(licence)


def media_urls(track_id: str, query: str = "") -> dict[str, str]:
    """Where the audible and the visible form of a track are; unsigned unless `query` is a signature."""
    base = f"/v1/tracks/{quote(track_id, safe='')}"
    return {"audio_url": f"{base}/audio{query}", "peaks_url": f"{base}/peaks{query}"}
