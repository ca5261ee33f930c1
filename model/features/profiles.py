"""A profile's name in, its frozen extractors out: which numbers a bundle's towers are fed with."""

from model.errors import BadOptions
from model.features import lite
from model.features.extractors import Profile


def load_profile(name: str) -> Profile:
    """The profile called `name`; raises `BadOptions` with the list of names for an unknown one."""
    match name:
        case "lite":
            return lite.profile()
        case _:
            raise BadOptions(f"unknown profile {name!r}: this version knows 'lite'")
