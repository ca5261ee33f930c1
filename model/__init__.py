"""What a vector means: media in, features, towers and bundles out; knows neither the pool nor HTTP."""

import os

# The one thing that happens at import, because it must come before another import: from 1.29 on, onnxruntime
# writes a device id into the home folder when it is imported, and reports usage (its Privacy.md). Not here.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
