"""Cuts to try the page with."""

from pydantic import BaseModel


class Sample(BaseModel):
    """A cut to try the page with."""

    name: str
    title: str
    video_url: str


class SampleList(BaseModel):
    """All of them, by name."""

    samples: list[Sample]
