"""Pictures in the place of a video: a set of JPEG or PNG files, each with the time it was taken at."""

import binascii
from base64 import b64decode

from pydantic import Field

from model.errors import BadOptions
from service.schemas.asked import Asked, Seconds

MAX_FRAMES = 1000


class SentFrame(Asked):
    """One picture of the video."""

    t_s: Seconds = Field(description="When it is shown, in seconds from the video's first frame.")
    image: str = Field(min_length=1, description="Base64 of a JPEG or PNG file; all of one size in pixels.")

    def data(self, number: int) -> bytes:
        """The file.

        Args: `number` is its place, for the words of an error.

        Raises:
            BadOptions: if it is no base64.
        """
        try:
            return b64decode(self.image, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadOptions(
                f"'frames.{number}.image' is no base64 of a JPEG or PNG file: {error}"
            ) from error
