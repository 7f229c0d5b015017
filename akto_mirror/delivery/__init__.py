"""Encoded entries reach a sink, or are accounted for; knows neither mitmproxy nor the options."""
