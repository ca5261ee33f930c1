"""What is told of a kept upload."""

from pydantic import BaseModel, Field

from service.stores.uploads import Stored


class KeptUpload(BaseModel):
    """A video that several requests may ask with."""

    upload_id: str = Field(description="For `upload_id` of POST /recommend.")
    sha256: str
    size_bytes: int
    expires_at: str = Field(description="UTC, ISO 8601; then it is deleted.")

    @classmethod
    def of(cls, stored: Stored) -> "KeptUpload":
        """Of a record."""
        return cls(
            upload_id=stored.id,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            expires_at=stored.expires_at,
        )
