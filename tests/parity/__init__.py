"""Parity with Akto's Cloudflare Worker: cases, peers, the recorder and the recorded entries."""
