"""Recording metadata (RFC 7865): what the client says of the call, its parties and its streams."""
