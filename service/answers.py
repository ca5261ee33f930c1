"""A video file and options in, the whole answer in the wire format out; no HTTP: the CLI can use it too."""

from pathlib import Path
from urllib.parse import quote

from index_builder.search import Match
from model.artifact import sha256_of
from model.media.child import Decoder
from model.media.streams import VideoStreams
from service import recommender
from service.recommender import Query, Ranked, Stopwatch
from service.schemas.options import Options
from service.schemas.recommendation import Recommendation, Result, Segment, VideoSeen
from service.serving import Serving


def answer(
    serving: Serving,
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
        BadOptions: if the asked part of the video is empty.
    """
    with clock.stage("hash"):
        sha256 = sha256_of(video)
    with clock.stage("decode"):
        streams = decoder.read_video(
            video, serving.profile.recipe, start_s=options.start_s, end_s=options.end_s
        )
    ranked = recommender.recommend(serving, streams, Query(top_k, options.filters.for_search()), clock)
    return Recommendation(
        request_id=request_id,
        snapshot=serving.snapshot.id,
        bundle=serving.bundle.id,
        recipe=serving.bundle.recipe,
        warnings=list(streams.warnings),
        video=_seen(streams, sha256, ranked),
        results=[_result(serving, rank, match) for rank, match in enumerate(ranked.matches, start=1)],
        excluded=ranked.excluded,
        timings_ms=clock.timings_ms | {"total": clock.total_ms},
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


def _result(serving: Serving, rank: int, match: Match) -> Result:
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
    found = {"rank": rank, "score": match.score, "cosine": match.score, "segments": segments}
    return Result.model_validate(
        {**found, **{name: facts[name] for name in names}, **media_urls(facts["track_id"])}
    )


def media_urls(track_id: str, query: str = "") -> dict[str, str]:
    """Where the audible and the visible form of a track are; unsigned unless `query` is a signature."""
    base = f"/v1/tracks/{quote(track_id, safe='')}"
    return {"audio_url": f"{base}/audio{query}", "peaks_url": f"{base}/peaks{query}"}
