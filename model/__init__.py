"""What a vector means: media in, features, trained towers and bundles out; knows neither the pool nor HTTP."""
