"""HTTP/2 without TLS by prior knowledge: mitmproxy's HTTP layer with what gRPC needs; knows no options."""
