"""A video file and options in, the whole answer in the wire format out; no HTTP: the CLI can use it too."""

from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from model.artifact import sha256_of
from model.media.child import Decoder
from model.media.streams import VideoStreams
from service.ranking import recommender
from service.ranking.recommender import Query, Ranked, Stopwatch
from service.schemas.options import Options
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
) -> Recommendation:
    """Decode, rank and describe, on one (snapshot, bundle) from here to the end.

    Raises:
        MediaError: by what is wrong with the file.
        BadOptions: if the asked part of the video is empty, or as `recommender.answer_for`.
        NotInstalled: if a text needs a network that is not here.
    """
    with clock.stage("hash"):
        sha256 = sha256_of(video)
    with clock.stage("decode"):
        streams = decoder.read_video(
            video, serving.profile.recipe, start_s=options.start_s, end_s=options.end_s
        )
    ranked = recommender.recommend(serving, ruling, streams, query_of(options, top_k), clock)
    return Recommendation(
        request_id=request_id,
        snapshot=serving.snapshot.id,
        bundle=serving.bundle.id,
        rights=ruling.version,
        recipe=serving.bundle.recipe,
        warnings=list(streams.warnings),
        video=_seen(streams, sha256, ranked),
        results=[_result(serving, ruling, ranked, i) for i in range(len(ranked.matches))],
        no_good_match=ranked.no_good_match,
        excluded=ranked.excluded,
        timings_ms=clock.timings_ms | {"total": clock.total_ms},
    )


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


def _seen(streams: VideoStreams, sha256: str, ranked: Ranked) -> VideoSeen:
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
