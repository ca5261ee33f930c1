"""A named world in, pairs of features with a known ceiling out: AdSynth, docs/models.md section 7."""
