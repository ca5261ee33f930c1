"""One command for each route, as /docs shows it; a test runs them all against a real server."""

from typing import Any

HOST = "http://localhost:8000"  # with keys, add -H "X-API-Key: $KEY"

_VIDEO = "-H 'Content-Type: video/mp4' --data-binary @cut.mp4"
_JSON = "-H 'Content-Type: application/json'"

EXAMPLES = {
    "get /livez": f"curl {HOST}/livez",
    "get /readyz": f"curl {HOST}/readyz",
    "get /version": f"curl {HOST}/version",
    "get /metrics": f"curl {HOST}/metrics",
    "post /recommend": f"""curl -F video=@cut.mp4 -F 'options={{"top_k": 5}}' {HOST}/recommend""",
    "post /v1/recommend": f"""curl {_VIDEO} '{HOST}/v1/recommend?options=%7B%22top_k%22%3A5%7D'""",
    "post /v1/uploads": f"curl {_VIDEO} {HOST}/v1/uploads",
    "get /v1/uploads/{upload_id}": f"curl {HOST}/v1/uploads/$UPLOAD_ID",
    "delete /v1/uploads/{upload_id}": f"curl -X DELETE {HOST}/v1/uploads/$UPLOAD_ID",
    "post /v1/feedback": f"""curl {_JSON} \\
  -d '{{"request_id": "9f2c", "track_id": "alpha", "event": "exported"}}' {HOST}/v1/feedback""",
    "get /v1/facets": f"curl {HOST}/v1/facets",
    "get /v1/tracks": f"curl '{HOST}/v1/tracks?offset=0&limit=50'",
    "get /v1/tracks/{track_id}": f"curl {HOST}/v1/tracks/$TRACK_ID",
    "get /v1/tracks/{track_id}/audio": f"curl -r 0-99999 -o preview.m4a {HOST}/v1/tracks/$TRACK_ID/audio",
    "get /v1/tracks/{track_id}/peaks": f"curl {HOST}/v1/tracks/$TRACK_ID/peaks",
    "get /v1/tracks/{track_id}/eligibility": (
        f"curl '{HOST}/v1/tracks/'$TRACK_ID'/eligibility?platform=tiktok&territory=DE&on_date=2027-01-31'"
    ),
    "post /v1/media-links": f"""curl {_JSON} -d '{{"track_ids": ["alpha"]}}' {HOST}/v1/media-links""",
    "get /v1/samples": f"curl {HOST}/v1/samples",
    "get /v1/samples/{name}": f"curl -o sample.mp4 {HOST}/v1/samples/$SAMPLE",
    "patch /admin/tracks/{track_id}": (
        f"""curl -X PATCH {_JSON} -d '{{"withdrawn": true}}' {HOST}/admin/tracks/$TRACK_ID"""
    ),
    "get /admin/snapshots": f"curl {HOST}/admin/snapshots",
    "post /admin/snapshots/{snapshot_id}/activate": (
        f"curl -X POST {HOST}/admin/snapshots/$SNAPSHOT_ID/activate"
    ),
    "post /admin/reindex": f"""curl {_JSON} -d '{{"recompute": false}}' {HOST}/admin/reindex""",
    "get /v1/jobs/{job_id}": f"curl {HOST}/v1/jobs/$JOB_ID",
    "delete /v1/jobs/{job_id}": f"curl -X DELETE {HOST}/v1/jobs/$JOB_ID",
    "get /v1/jobs/{job_id}/events": f"curl -N {HOST}/v1/jobs/$JOB_ID/events",
}


def show(paths: dict[str, dict[str, Any]]) -> None:
    """Add each command to its operation of an OpenAPI document."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            command = EXAMPLES.get(f"{method} {path.replace(':path', '')}")
            if command is not None:
                operation["x-codeSamples"] = [{"lang": "Shell", "label": "curl", "source": command}]
