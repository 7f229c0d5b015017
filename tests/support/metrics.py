"""A reader of the metrics that a proxy serves."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


def samples(url: str) -> dict[str, float]:
    """Scrape, and return the samples by name and label value."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", trust_env=False).text)
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for f in families for sample in f.samples}
