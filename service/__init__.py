"""Online: one video in, ranked tracks of the current snapshot out."""
