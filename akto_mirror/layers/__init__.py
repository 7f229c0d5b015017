"""What mitmproxy lacks in its layers: HTTP/2 without TLS, early answers to uploads, and bodies without a length."""
