"""The session recording server's own rules (RFC 7866): who is never recorded, and what each mode does."""
