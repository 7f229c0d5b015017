"""Protocol layers that extend mitmproxy's: HTTP/2 without TLS, early responses to uploads, bodies without a length."""
