"""What a vector means: media in, features, towers and bundles out; knows neither the pool nor HTTP."""
