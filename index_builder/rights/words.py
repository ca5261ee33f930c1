"""A reason that keeps a track back in, one sentence that says why and what would let it out."""

from collections.abc import Callable
from datetime import datetime

from index_builder.rights.eligibility import LIST_OF, Use
from index_builder.rights.licence import Licence, written


def in_words(reason: str, licence: Licence, use: Use) -> str:
    """One of `eligibility.REASONS`, for people."""
    if reason in LIST_OF:
        return _lacks(reason, getattr(use, reason), getattr(licence, LIST_OF[reason]))
    return _ALONE[reason](licence)


def _withdrawn(_licence: Licence) -> str:
    return 'the track is withdrawn: PATCH it with "withdrawn": false to give it back'


def _unknown(licence: Licence) -> str:
    if licence.unreadable:
        names = ", ".join(licence.unreadable)
        return f"its {names} in the catalogue cannot be read: correct the cell and index again, or PATCH it"
    return "nobody gave a licence for it: add one to the catalogue and index again, or PATCH it"


def _product_link(licence: Licence) -> str:
    said = "forbids" if licence.product_link is False else "does not say that it allows"
    return f"the licence {said} videos that link to a product"


_ALONE: dict[str, Callable[[Licence], str]] = {
    "withdrawn": _withdrawn,
    "unknown": _unknown,
    "licence_expired": lambda licence: f"the licence ends at {_when(licence.valid_until)}",
    "not_yet_valid": lambda licence: f"the licence begins at {_when(licence.valid_from)}",
    "exclusive": lambda licence: f"somebody else has it alone until {_when(licence.exclusive_until)}",
    "product_link": _product_link,
}


def _when(instant: datetime | None) -> str:
    return written(instant) if instant else "no time"


def _lacks(what: str, wanted: str, names: tuple[str, ...] | None) -> str:
    if names is None:
        return f"the licence names no {what}, and {wanted} is asked for: name it, or * for every one"
    return f"the licence is for {', '.join(names) or f'no {what}'}, not for {wanted}"
