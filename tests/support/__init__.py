"""What the tests share: real processes and peers."""
